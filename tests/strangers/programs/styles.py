"""Fast neural style: reflected borders, instance normalisation, Gram matrices."""

import torch
from torch.optim import Adam

from tests.strangers.given import fill, numbers


class ConvLayer(torch.nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride):
        super().__init__()
        reflection_padding = kernel_size // 2
        self.reflection_pad = torch.nn.ReflectionPad2d(reflection_padding)
        self.conv2d = torch.nn.Conv2d(in_channels, out_channels, kernel_size, stride)

    def forward(self, x):
        return self.conv2d(self.reflection_pad(x))


class ResidualBlock(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = ConvLayer(channels, channels, kernel_size=3, stride=1)
        self.in1 = torch.nn.InstanceNorm2d(channels, affine=True)
        self.relu = torch.nn.ReLU()

    def forward(self, x):
        return self.relu(self.in1(self.conv1(x))) + x


class UpsampleConvLayer(torch.nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride, upsample=None):
        super().__init__()
        self.upsample = upsample
        self.layer = ConvLayer(in_channels, out_channels, kernel_size, stride)

    def forward(self, x):
        x_in = x
        if self.upsample:
            x_in = torch.nn.functional.interpolate(
                x_in, mode="nearest", scale_factor=self.upsample
            )
        return self.layer(x_in)


class TransformerNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = ConvLayer(3, 4, kernel_size=3, stride=2)
        self.in1 = torch.nn.InstanceNorm2d(4, affine=True)
        self.res1 = ResidualBlock(4)
        self.deconv1 = UpsampleConvLayer(4, 3, kernel_size=3, stride=1, upsample=2)
        self.relu = torch.nn.ReLU()

    def forward(self, x):
        return self.deconv1(self.res1(self.relu(self.in1(self.conv1(x)))))


def gram_matrix(y):
    (b, ch, h, w) = y.size()
    features = y.view(b, ch, w * h)
    features_t = features.transpose(1, 2)
    return features.bmm(features_t) / (ch * h * w)


def normalize_batch(batch):
    mean = batch.new_tensor([0.485, 0.456, 0.406]).view(-1, 1, 1)
    std = batch.new_tensor([0.229, 0.224, 0.225]).view(-1, 1, 1)
    return (batch.div_(255.0) - mean) / std


def main():
    transformer = fill(TransformerNet())
    for param in transformer.in1.parameters():
        param.requires_grad = False
    optimizer = Adam([p for p in transformer.parameters() if p.requires_grad], 1e-2)
    mse_loss = torch.nn.MSELoss()
    pictures = torch.from_numpy(numbers(2, 3, 8, 8)) * 255
    style = torch.from_numpy(numbers(1, 3, 8, 8)).repeat(2, 1, 1, 1)
    gram_style = gram_matrix(style)

    @torch.compile
    def step(x):
        optimizer.zero_grad()
        y = normalize_batch(transformer(x))
        x = normalize_batch(x.clone())
        content_loss = 1e3 * mse_loss(y, x)
        style_loss = 1e2 * mse_loss(gram_matrix(y), gram_style[: len(x), :, :])
        total_loss = content_loss + style_loss
        total_loss.backward()
        optimizer.step()
        return total_loss, content_loss

    made = [step(pictures) for _ in range(3)]
    state = transformer.state_dict()
    for k in list(state.keys()):
        if k.endswith(("running_mean", "running_var")):
            del state[k]
    transformer.load_state_dict(state)
    transformer.eval()
    with torch.no_grad():
        output = transformer(pictures[:1]).cpu()
    # Biases before a normalisation have a derivative of 0, of which Adam makes noise.
    kept = [p for n, p in transformer.named_parameters() if "1.conv2d.bias" not in n]
    return made, output[0].clone().clamp(0, 255), kept
