"""Least squares, decompositions, special functions, and frequencies."""

import chainrule as cr


def ridge(a: cr.Tensor, b: cr.Tensor, penalty: float = 0.1) -> cr.Tensor:
    gram = a.T @ a + penalty * cr.eye(a.shape[1], dtype=a.dtype)
    return cr.linalg.solve(gram, a.T @ b)


cr.manual_seed(0)
a = cr.randn(20, 3, dtype=cr.float64)
b = a @ cr.tensor([1.0, 2.0, 3.0], dtype=cr.float64)
print(ridge(a, b, penalty=1e-6).round(decimals=3).tolist())
print(cr.linalg.lstsq(a, b[:, None]).solution.squeeze().tolist())

u, s, vh = cr.linalg.svd(a, full_matrices=False)
print(cr.allclose(u @ cr.diag(s) @ vh, a), cr.linalg.matrix_rank(a).item())
q, r = cr.linalg.qr(a, mode="reduced")
values, vectors = cr.linalg.eigh(a.T @ a)
print((q @ r - a).abs().max().item() < 1e-9, values.shape, vectors.shape)
lower = cr.linalg.cholesky(a.T @ a)
sign, logdet = cr.linalg.slogdet(a.T @ a)
print(sign.item(), logdet.exp().item(), lower.tril().equal(lower))
print(cr.linalg.norm(a, ord="fro").item(), cr.linalg.vector_norm(b, ord=2).item())
print(cr.linalg.det(cr.eye(2)).item(), cr.linalg.inv(a.T @ a).shape)
print(
    cr.linalg.pinv(a).shape, cr.linalg.cond(a).item() > 1, cr.einsum("ij,ik->jk", a, a)
)
print(cr.outer(b[:2], b[:2]).shape, cr.dot(b, b).item(), cr.cross(a[0], a[1], dim=0))

spectrum = cr.fft.rfft(cr.sin(cr.arange(8.0)), norm="ortho")
print(spectrum.shape, cr.fft.irfft(spectrum, 8, norm="ortho").shape)
print(
    cr.stft(cr.ones(8), 4, window=cr.hann_window(4)).shape,
    cr.fft.fftshift(cr.fft.fftfreq(4, d=0.5)),
)
print(cr.special.expit(cr.zeros(1)), cr.special.entr(cr.tensor(0.5)).item())
print(cr.special.logsumexp(cr.ones(3), dim=0), cr.lgamma(cr.tensor(4.0)), cr.erf(b[0]))
print(b.std(unbiased=False), a.var(dim=0), a.cumsum(0).shape, a.quantile(0.5).item())
print(cr.histc(b, bins=4, min=-3, max=3), cr.bincount(cr.tensor([0, 1, 1])).tolist())
