"""Element types, devices, and creation of tensors."""

import numpy as np

import chainrule as cr


def to_unit(x: cr.Tensor, dtype: cr.dtype = cr.float32) -> cr.Tensor:
    return x.to(dtype) / 255


device = cr.device("cuda" if cr.cuda.is_available() else "cpu")
image = cr.randint(0, 256, (3, 4, 4), dtype=cr.uint8)
unit = to_unit(image)
print(image.dtype, unit.dtype, unit.max().item() <= 1, device)
print(to_unit(image, cr.float64).dtype.is_float, image.element_size(), unit.nbytes)

x = cr.tensor([1, 2, 3], dtype="float64", device=device)
y = cr.tensor(np.arange(3), dtype=np.float32)
z = cr.as_tensor([True, False, True]).to(device)
print((x + y).dtype, x.float().dtype, y.long().dtype, z.int().sum().item())
print(x.to("cpu").astype("int32"), x.type_as(y).dtype, y.double().to(device, cr.int8))

print(cr.zeros(2, 3), cr.ones((2, 3), dtype=cr.int64), cr.full((2,), 7.0), cr.eye(3))
print(cr.linspace(0, 1, steps=5), cr.arange(0, 10, 2), cr.arange(3.0), cr.empty(0))
print(cr.zeros_like(x), cr.ones_like(y, dtype=cr.bool), cr.full_like(x, 3), cr.pi)
print(x.new_zeros(2, 2).dtype, y.new_tensor([1]).dtype, cr.rand_like(y).shape)
print(cr.finfo(cr.float32).eps, cr.iinfo(cr.int8).max, x.is_floating_point())

cr.set_default_dtype(cr.float64)
print(cr.zeros(1).dtype, cr.get_default_dtype())
cr.set_default_dtype(cr.float32)
model = cr.nn.Linear(2, 2, dtype=cr.float64).to(device)
print(model.weight.dtype, model.float()(cr.ones(1, 2)).dtype, model.weight.size())
numbers: list[float] = x.tolist()
print(sum(numbers), x.size(0), x.shape[0] + 1, x.numpy().sum(), np.array(x))
