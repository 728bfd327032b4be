"""What is called under PyTorch's name gives PyTorch's result, or is refused.

What ``element_rows.py`` and ``tensor_rows.py`` say, with derivatives, is not said here.
Each expression is evaluated over the same numbers with ``X``, ``F`` this package and
its functional part, and with PyTorch. Values, shapes and dtypes agree; where the two
mean different things on purpose, ``docs/reference/arrays.md`` says so, and
``DIFFERENT`` here.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

import chainrule as cr

pytestmark = pytest.mark.parity

rng = np.random.default_rng(0)
NUMBERS: dict[str, Any] = {
    "a": rng.normal(size=(3, 4)).astype("f4"),
    "b": rng.normal(size=(3, 4)).astype("f4"),
    "c": rng.normal(size=(4, 5)).astype("f4"),
    "d": rng.normal(size=(3, 4)),
    "t": rng.normal(size=(2, 3, 4)).astype("f4"),
    "u": rng.normal(size=(2, 4, 5)).astype("f4"),
    "v": rng.normal(size=4).astype("f4"),
    "w": rng.normal(size=4).astype("f4"),
    "sq": rng.normal(size=(4, 4)).astype("f4"),
    "p": rng.random((3, 4)).astype("f4"),
    "i": rng.integers(-5, 6, (3, 4)),
    "j": rng.integers(1, 6, (3, 4)),
    "k": rng.integers(0, 3, (3, 4)).astype("i4"),
    "i8": rng.integers(-100, 100, (3, 4)).astype("i1"),
    "u8": rng.integers(0, 255, (3, 4)).astype("u1"),
    "m": rng.random((3, 4)) < 0.5,
    "mv": rng.random(4) < 0.5,
    "y": np.array([0, 2, 1]),
    "ix": np.array([2, 0, 1]),
    "ix4": rng.integers(0, 3, (3, 4)),
    "e0": np.zeros((0, 4), "f4"),
    "e1": np.zeros((3, 0), "f4"),
    "s": np.float32(1.5),
    "z": np.array(2),
    "one": np.array([1.0, 2.0, 3.0], "f4"),
    "q1": np.array([0.5, -0.5, 1.5, 2.5, -1.5], "f4"),
    "nanv": np.array([1, np.nan, 3, np.inf], "f4"),
}

#: What differs on purpose.
DIFFERENT = [
    r"u8\.(all|any)",  # truth values, of every dtype
    r"\((dim=)?\(\)\)|dim=\[\]",  # no axes are no axes
    r"i8.*\bz\b",  # a tensor without axes promotes as any other
    r"(sign|sgn)\(.*nanv|nanv\.(sign|sgn|int)\(",  # NaN has no sign; it is no integer
    r"i0\((nanv|i8)|(nanv|i8)\.i0\(",  # I₀(90) has room in float32, and I₀(∞) is ∞
    r"count_nonzero\(0, ?True\)",  # keepdim
    r"t\[0,:,ix\]|uint8\)\]",  # NumPy's indexing
    r"-100,-100,-100|F\.mse_loss\(a,d\)",  # see the losses
]

CALLS = """
X.cumsum(a,0) | k.cumsum(0) | u8.cumsum(1) | m.cumprod(1) | k.cumprod(0) |
a.cumsum(0, dtype=X.float64) | a.sort() | a.sort(-1, True) | X.sort(a) |
X.sort(a,0) | X.sort(a,dim=0) | X.sort(a, 0, True) | X.sort(a, descending=True) |
a.argsort() | a.argsort(0, True) | X.argsort(a) | X.argsort(a, 0) |
X.argsort(a, 0, True) | X.argsort(a, dim=0) | m.sort() | i.sort(stable=True) |
a.topk(2,0) | a.topk(2, dim=0, largest=False) | X.topk(a,2) |
X.topk(a, 2, 0, False) | X.topk(a, k=2, dim=1) | a.topk(2,1,True,False) |
a.flip([0,1]) | a.flip(dims=(0,)) | X.flip(a,[0]) | X.flip(a, dims=[1]) |
a.roll(1,0) | a.roll(shifts=1, dims=1) | X.roll(a,1) | X.roll(a, 1, 0) |
X.roll(a, shifts=(1,), dims=(0,)) | X.roll(a, 2, dims=1) | a.repeat(2) |
a.repeat(2,1) | X.repeat(a, 2) | a.repeat_interleave(2) | a.repeat_interleave(2,0) |
X.repeat_interleave(a,2,0) | X.repeat_interleave(v,z) |
v.repeat_interleave(X.tensor([1,2,0,1])) |
X.repeat_interleave(v, X.tensor([1,2,0,1]), dim=0) |
X.repeat_interleave(X.tensor([1,2,0,1])) | a.tile((2,1)) | a.tile(2,3) |
X.tile(a,(2,)) | X.tile(a,(2,1,1)) | X.tile(a, dims=(2,)) | a.squeeze() |
t[:1].squeeze() | t[:1].squeeze(dim=0) | X.squeeze(t[:1]) | X.squeeze(t[:1],0) |
t[:1,:1].squeeze((0,1)) | t[:1,:1].squeeze((0,2)) | s.squeeze() | a.squeeze(0) |
a.unsqueeze(0) | a.unsqueeze(-1) | a.unsqueeze(1) | X.unsqueeze(a,dim=-1) |
s.unsqueeze(0) | a.transpose(0,1) | t.transpose(0,2) | t.transpose(-1,0) |
t.permute((2,0,1)) | X.permute(t,dims=(2,0,1)) | t.permute(dims=(2,0,1)) |
t.movedim(0,-1) | X.movedim(t,(0,1),(1,2)) | X.moveaxis(t,0,1) |
X.transpose(input=a, dim0=0, dim1=1) | a.reshape(4,3) | a.reshape((2,6)) |
a.reshape(shape=(12,)) | X.reshape(a,shape=(4,3)) | X.reshape(a,(-1,)) |
a.view(-1) | a.view(12) | e0.reshape(-1) | e0.reshape(4,-1) | e0.view(0) |
a.flatten() | t.flatten(start_dim=1) | X.flatten(t,1) | s.flatten() |
v.expand(3,4) | v.expand(3,-1) | a.expand(-1,-1) | v.unsqueeze(1).expand(-1,3) |
v.expand((3,4)) | v.expand_as(a) | X.broadcast_to(v,(3,4)) | a.split(2,1) |
a.split([1,3],1) | a.split([1,2]) | X.split(a,2) |
X.split(a, split_size_or_sections=2) | a.chunk(2) | a.chunk(2,1) |
X.chunk(a, chunks=2, dim=0) | a.unbind() | X.unbind(a) | X.unbind(a,1) | list(a) |
X.cat([a,b]) | X.cat([a,b],dim=1) | X.cat([a,b],-1) | X.cat([a,d]) | X.cat([a,i]) |
X.cat([i,k]) | X.cat([e0,a]) | X.cat([a]) | X.cat(tensors=[a,b]) | X.stack([a,b]) |
X.stack([a,b],dim=-1) | X.stack((a,d)) | X.stack(tensors=[a,b]) | X.vstack([a,b]) |
X.vstack([v,w]) | X.hstack([s,s]) | X.vstack([s,s]) | X.where(m,a,b) |
X.where(m,a,0) | X.where(m,1.0,0.0) | X.where(m,a,d) | X.where(m,i,k) |
X.where(m,i,2.5) | X.where(m,1,0) | a.where(m,b) | a.where(m,0) | X.where(m) |
X.where(a>0,a,X.zeros_like(a)) | X.where(condition=m, input=a, other=b) |
a.masked_fill(m,0) | a.masked_fill(m,float('-inf')) | i.masked_fill(m,2) |
i.masked_fill(m,2.5) | X.masked_fill(a,m,1.5) | a.masked_fill(mask=m,value=1.) |
X.masked_select(a,m) | a[m]*2 | a.masked_fill(mv,0) | a.masked_fill(k,0) |
a.gather(0,ix4) | a.gather(1,ix4) | a.gather(dim=0,index=ix4) |
X.gather(a,1,ix4[:,:2]) | X.gather(a,0,ix4[:2]) | X.gather(a,1,ix4[:2,:1]) |
a.index_select(0,ix) | X.index_select(a,0,ix) | X.index_select(a,1,ix) |
X.take(a,ix) | X.take(a, ix4) | a.scatter(0,ix4,b) | a.scatter(1,ix4,b) |
X.scatter(a,0,ix4,b) | a.scatter(dim=0,index=ix4,src=b) |
a.scatter(0,ix4,value=1.5) | a.scatter_add(0,ix4,b) | X.scatter_add(a,0,ix4,b) |
a.scatter_add(1,ix4[:2,:2],b) | a.scatter(0,ix4[:2,:2],b) | a.index_add(0,ix,b) |
a.index_add(0,ix,b,alpha=2) | a.scatter(1, y.unsqueeze(1), 1.0) |
a.scatter(1, ix4, b, reduce='add') | X.triu(sq) | X.tril(sq,-1) | X.diag(v) |
X.diag(v,1) | X.diag(sq) | X.diag(sq,1) | sq.diag() | X.diagonal(sq) |
X.diagonal(sq,1) | t.diagonal(dim1=0,dim2=2) | X.eye(3) | X.eye(2,3) |
X.eye(3,dtype=X.int64) | X.arange(5) | X.arange(1,5) | X.arange(0,1,0.25) |
X.arange(5.) | X.arange(5,0,-1) | X.arange(start=1,end=4) |
X.arange(3,dtype=X.float32) | X.linspace(0,1,5) | X.linspace(0,1,steps=5) |
X.linspace(start=0,end=1,steps=3) | X.linspace(0,10,3) | X.linspace(0,1,1) |
X.zeros(2,3) | X.zeros((2,3)) | X.zeros([2]) | X.zeros(()) |
X.ones(2,dtype=X.int32) | X.full((2,),1) | X.full((2,),1.5) | X.full((2,),True) |
X.full((),3) | X.full([2,2],7,dtype=X.float32) | X.full_like(a,2) |
X.full_like(i,2) | X.full_like(i,2.7) | X.zeros_like(i) |
X.ones_like(a,dtype=X.int64) | X.zeros(size=(2,3)) | X.ones(size=(2,)) |
X.full(size=(2,),fill_value=1.) | X.tensor(1) | X.tensor(1.) | X.tensor([1,2.]) |
X.tensor([True,False]) | X.tensor([[1,2],[3,4]],dtype=X.float64) | X.tensor([]) |
X.tensor([[]]) | X.tensor(True) | X.tensor([1,True]) | X.tensor(2**40) |
X.as_tensor([1,2]) | X.as_tensor(3.) | a.new_zeros(2,3) | a.new_zeros((2,3)) |
i.new_ones(2) | a.new_full((2,),3) | i.new_full((2,),3) | i.new_tensor([1.5]) |
X.meshgrid(v,w) | X.meshgrid(v,w,indexing='ij') | X.meshgrid(v,w,indexing='xy') |
X.meshgrid([v,w],indexing='ij') | a.clamp(0) | a.clamp(-1,1) | a.clamp(min=0.) |
a.clamp(min=0,max=.5) | i.clamp(0) | i.clamp(0,2) | i.clamp(0.5) |
i.clamp(min=-1.5,max=2.5) | X.clamp(a,0) | X.clamp(a,min=b) | X.clip(a,-1,1) |
a.clip(0,1) | a.clamp(b,b+1) | a.clamp(1,-1) | u8.clamp(0,100) | nanv.clamp(0,2) |
i.clamp(min=a) | X.matmul(a,c) | X.bmm(t,u) | t.bmm(u) | X.outer(v,w) | v.outer(w) |
X.addmm(a[:,:1].expand(3,5),a,c) |
X.addmm(a[:,:1].expand(3,5),a,c,beta=.5,alpha=2) | i@j.T |
X.einsum('ij,jk->ik',a,c) | X.einsum('ij->ji',a) | X.einsum('ii',sq) |
X.einsum('ii->i',sq) | X.einsum('bij,bjk',t,u) | X.einsum('i,j->ij',[v,w]) |
X.einsum('i j, j k -> i k',a,c) | X.einsum('ij,ij->',a,b) |
X.einsum('ij,kj->',a,b) | X.tensordot(a,c,1) | X.tensordot(a,c,dims=1) |
X.tensordot(a,b,2) | X.tensordot(a,c,([1],[0])) | X.tensordot(a,c,dims=([1],[0])) |
X.tensordot(a,b) | a@d.T | X.softmax(a,1) | i.softmax(0) |
X.softmax(a, dim=1, dtype=X.float64) | a.softmax(1, dtype=X.float64) |
F.softmax(a, dim=1, dtype=X.float64) | F.softmax(input=i, dim=0, dtype=X.float32) |
F.log_softmax(a, 1, dtype=X.float64) | F.gelu(input=a) | F.softmax(s, dim=0) |
F.linear(input=a, weight=c.T) | F.pad(input=a, pad=(1, 0)) |
X.logsumexp(a,1) | X.logsumexp(a,dim=(0,1)) | a.logsumexp(0,True) |
X.allclose(a,a) | X.allclose(a,b) | X.isclose(a,b) | X.isclose(a,a+1e-6) |
X.equal(a,a) | X.equal(a,b) | X.equal(a,v) | a.allclose(a+1e-9) | a.ne(2) |
X.round(q1) | q1.round() | X.round(a,decimals=1) | a.round(decimals=2) |
X.round(a,1) | i//j | i%j | X.remainder(a,-1.5) | a//0.5 |
X.div(a,b,rounding_mode='floor') | X.div(a,b,rounding_mode='trunc') |
a.div(b,rounding_mode='floor') | X.div(i,j,rounding_mode='floor') | X.div(i,j) |
X.lerp(a,b,p) | X.pow(a,2) | a.pow(b) | 2**i | k**2 | X.sqrt(i.abs()) | (-q1)**2 |
X.pow(i,0.5) | 2.0**i | X.pow(i.abs(),j) | X.square(i) | X.sign(m) | X.abs(i8) |
X.rsqrt(j) | X.sigmoid(i) | X.reciprocal(j) | X.nan_to_num(nanv) |
X.nan_to_num(nanv,0.) | X.nan_to_num(nanv,nan=1.,posinf=2.) | nanv.min() |
nanv.sum() | nanv.median() | X.maximum(nanv,w) | nanv.relu() | X.sign(nanv) |
nanv.clamp(min=0) | nanv>1 | nanv==nanv | nanv.softmax(0) | nanv.int() |
X.nonzero(i) | X.nonzero(a>0) | X.nonzero(i,as_tuple=True) | i.nonzero() |
X.nonzero(z) | a.equal(b) |
a.equal(a) | X.std(a,1,correction=0) | X.var(a,(0,1),keepdim=True) | X.std(t) |
X.searchsorted(v.sort().values,w) | X.searchsorted(v.sort().values,w,right=True) |
X.searchsorted(v.sort().values,w,side='right') | X.count_nonzero(i) |
X.count_nonzero(i,0) | X.diff(v) | X.diff(a) | X.diff(a,dim=0) | X.diff(a,2) |
X.diff(a,n=2,dim=1) | a.diff(1,0) | v.diff(n=2) | X.median(a) | X.median(a,0) |
a.median(dim=1) | X.max(a,b) | X.min(a,b) | a.max(1)[1] | X.max(a) | X.max(a,1) |
X.max(a,dim=1) | X.max(i,0) | a.argmax(1) | X.amax(a,(0,1)) | X.amax(a,1,True) |
m.max() | m.argmax(0) | u8.max(0) | i.mean() | i.float().mean() | m.mean() |
k.sum() | u8.sum() | u8.sum() - 2**40 | X.cumsum(u8,1) |
i8.prod() | X.mean(i,dtype=X.float32) |
a.mean(0,dtype=X.float64) | a.sum(dim=()) | a.mean(dim=()) | a.sum(()) |
X.sum(a,dim=[]) | i.any() | u8.all(0) | u8.any() | X.prod(a,dim=0,dtype=X.float64) |
e0.sum(0) | e0.mean(0) | e0.prod() | e0.all() | e0.any() | e0.max() | e0.argmax(1) |
e1.max(0) | e1.sort(1) | e0.std() | e0.softmax(1) | e0@c | e1@e1.T | e0.mean() |
s.std() | v[:1].std() | v[:1].var() | a.float() | a.int() | a.long() | a.bool() |
a.to(X.float64) | a.to(dtype=X.int32) | a.to('cpu') | a.type_as(i) | q1.int() |
(-q1).long() | nanv.bool() | a.numpy() | a.detach() | a.clone() | a.contiguous() |
a.tolist() | s.item() | len(a) | a.size() | a.size(0) | a.size(-1) | a.dim() |
a.ndim | a.numel() | a.shape | a.nelement() | a.element_size() | a.dtype |
a.is_floating_point() | i.is_floating_point() | bool(s) | float(s) | int(s) |
int(z) | list(range(z)) | [10,20,30][z] | a.data | a.nbytes | a.itemsize |
a.requires_grad | a.is_leaf | a.grad | a[0] | a[-1] | a[:,1] | a[::2] | a[...,0] |
a[None] | a[:,None] | a[ix] | a[ix,ix] | t[:,ix,ix] | t[ix[:1],:,ix] | t[0,:,ix] |
t[:,0,ix] | a[[0,2]] | a[[0,2],[1,3]] | a[mv.unsqueeze(0).expand(3,4)] | a[:,mv] |
a[y] | a[z] | a[1,z] | a[z,None] | a[True] | a[a>0] | v[v>0] | a[1:,1:] | a[1:1] |
a[5:] | a[-2:] | t[...,1:] | t[1,...] | a[ix4] | a[0,0] | a[(0,1)] |
a[ix.to(X.int32)] | a[ix.to(X.uint8)] | a[[True,False,True]] | t[:,:,None,1] |
a[...,None] | a[range(2)] | X.result_type(a,d) | X.result_type(a,1) |
X.result_type(i,1.5) | X.can_cast(X.float32,X.int32) | X.can_cast(X.int32,X.int64) |
X.finfo(X.float32).eps | X.iinfo(X.int32).max | X.float32 | X.pi | X.inf |
F.softplus(a,2) | F.softplus(a*100,1,20) | F.elu(a,.5) | F.glu(a,1) | F.prelu(a,v) |
F.prelu(a.T,v) | F.prelu(a,one[:1]) | F.normalize(t,2,2) |
F.pairwise_distance(a,b,1) | F.one_hot(y,4) | F.dropout(a,0.) |
F.dropout(a,.5,False) | F.dropout(a,p=.5,training=False) | F.layer_norm(a,a.shape) |
F.layer_norm(a,a.shape[1:],eps=1e-3) | F.batch_norm(a,v,p[0]) |
F.batch_norm(a,v,p[0],training=True) | F.huber_loss(a,b,'sum') |
F.huber_loss(a,b,'mean',.5) | F.cross_entropy(a,y,v.abs()) |
F.cross_entropy(a,X.tensor([0,-100,1])) |
F.cross_entropy(a,X.tensor([0,-100,1]),ignore_index=-100) |
F.cross_entropy(v,X.tensor(1)) |
F.cross_entropy(a,X.tensor([-100,-100,-100]),ignore_index=-100) |
F.nll_loss(a.log_softmax(1),y,v.abs(),ignore_index=0) |
F.binary_cross_entropy_with_logits(a,m.float(),p) |
F.kl_div(a.log_softmax(1),b.softmax(1)) |
F.kl_div(a.log_softmax(1),b.softmax(1),reduction='batchmean') |
F.kl_div(a.log_softmax(1),b.log_softmax(1),log_target=True) |
F.kl_div(a.log_softmax(1),b.log_softmax(1),reduction='sum',log_target=True) |
F.gaussian_nll_loss(a,b,p,True) | F.poisson_nll_loss(a,p,False) | F.mse_loss(a,v) |
F.mse_loss(a[:,0],b[:,:1]) | F.l1_loss(i,j) | F.binary_cross_entropy(p,m) |
F.binary_cross_entropy_with_logits(a,i) |
F.scaled_dot_product_attention(t,t[:,:2],t[:,:2]) |
F.scaled_dot_product_attention(t,t[:,:2],t[:,:2],is_causal=True) |
F.scaled_dot_product_attention(t,t,t,None,0.,True)
"""

UNARY = """abs acos acosh asin asinh atan atanh ceil cos cosh erf erfc exp exp2 expm1
floor
isfinite isinf isnan log log10 log1p log2 logical_not neg positive reciprocal relu round
rsqrt sigmoid sign signbit sin sinh sqrt square tan tanh trunc nan_to_num bitwise_not
lgamma digamma erfinv deg2rad rad2deg i0 sinc sgn isneginf isposinf isreal logit frac"""
BINARY = """add atan2 copysign div eq floor_divide ge gt hypot le logaddexp logical_and
logical_or logical_xor lt maximum minimum mul ne nextafter pow remainder sub
bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift
fmod fmax fmin heaviside xlogy ldexp gcd lcm float_power logaddexp2 clamp_min"""
OPERATORS = "+ - * / // % ** < <= == != & | ^ << >>"
PAIRS = """a,b a,d a,i i,j i,k m,m m,i a,m u8,i8 i8,k a,2 a,2.5 i,2 i,2.5 m,2 m,2.5 u8,3
k,-2 a,True i,True m,True a,z a,s i,s a,v e0,v"""
REDUCED = """sum mean prod amax amin all any var std max min argmax argmin logsumexp
median norm count_nonzero"""
AXES = """ 0 -1 dim=0 dim=1,keepdim=True 0,True 0,False (0,1) axis=0 [0] dim=None
axis=1,keepdims=True 0,keepdim=True"""


def expressions() -> dict[str, list[str]]:
    pairs = [p.split(",") for p in PAIRS.split()]
    axes = ["", *AXES.split()]
    made = {
        "calls": [e.strip() for e in CALLS.replace("\n", " ").split(" | ")],
        "unary": [
            f"{'X.' * first}{name}({x})" if first else f"{x}.{name}()"
            for name in UNARY.split()
            for x in ["a", "d", "i", "k", "m", "u8", "i8", "e0", "nanv"]
            for first in (True, False)
        ],
        "binary": [f"X.{f}({x},{y})" for f in BINARY.split() for x, y in pairs],
        "methods": [f"{x}.{f}({y})" for f in BINARY.split() for x, y in pairs],
        "operators": [
            f"{x} {o} {y}"
            for o in OPERATORS.split()
            for p in pairs
            for x, y in (p, p[::-1])
        ],
    }
    kinds = ["a", "i", "m", "t"]
    made["reduced"] = [
        e
        for f in REDUCED.split()
        for x in kinds
        for at in axes
        for e in (f"{x}.{f}({at})", f"X.{f}({x}{',' if at else ''}{at})")
    ]
    return made


GROUPS = expressions()


def plain(x: Any) -> Any:
    """A result without the type that it came in."""
    if isinstance(x, tuple | list):
        return [plain(part) for part in x]
    if isinstance(x, cr.Tensor | torch.Tensor):
        return x.detach().numpy()
    if isinstance(x, torch.dtype):
        return str(x).removeprefix("torch.")
    return x.name if type(x) is type(cr.float32) else x


def same(x: Any, y: Any) -> bool:
    if isinstance(x, list) and isinstance(y, list):
        return len(x) == len(y) and all(map(same, x, y))
    if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
        alike = x.shape == y.shape and x.dtype == y.dtype
        return alike and np.allclose(x, y, rtol=2e-5, atol=2e-6, equal_nan=True)
    return type(x) is type(y) and (x == y or (x != x and y != y))


def evaluated(text: str, make: Any, package: Any, functional: Any) -> Any:
    """The value; None where it is refused."""
    names = {k: make(np.asarray(x)) for k, x in NUMBERS.items()}
    try:
        return [plain(eval(text, {**names, "X": package, "F": functional}))]
    except Exception:
        return None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("group", GROUPS)
def test_names_mean_what_they_mean_there(group: str) -> None:
    wrong: list[str] = []
    agreed = 0
    for text in GROUPS[group]:
        if any(re.search(pattern, text) for pattern in DIFFERENT):
            continue
        ours = evaluated(
            text, lambda x: cr.tensor(x, dtype=x.dtype), cr, cr.nn.functional
        )
        if ours is None:
            continue
        theirs = evaluated(text, torch.tensor, torch, torch.nn.functional)
        if theirs is not None and not same(ours, theirs):
            wrong.append(f"{text}: {ours[0]!r:.70} and {theirs[0]!r:.70}")
        agreed += theirs is not None
    assert not wrong, "\n".join(wrong)
    assert agreed > 0.55 * len(GROUPS[group])


@pytest.mark.parametrize("name", ["zeros", "ones"])
def test_shapes_may_be_called_size(name: str) -> None:
    made = getattr(cr, name)(size=(2, 3)).numpy()
    np.testing.assert_array_equal(made, getattr(torch, name)(size=(2, 3)).numpy())
    assert cr.empty(size=(2, 3)).shape == (2, 3)
