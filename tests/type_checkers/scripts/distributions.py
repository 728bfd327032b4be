"""A variational fit of a normal distribution, and policies that sample."""

import chainrule as cr
from chainrule import distributions as dist
from chainrule import optim

cr.manual_seed(0)
mu = cr.zeros(2, requires_grad=True)
log_sigma = cr.zeros(2, requires_grad=True)
target = dist.Independent(dist.Normal(cr.tensor([1.0, -1.0]), 0.5), 1)
optimizer = optim.Adam([mu, log_sigma], lr=0.05)
for _ in range(30):
    q = dist.Normal(mu, log_sigma.exp())
    z = q.rsample((16,))
    elbo = target.log_prob(z) + q.entropy().sum()
    loss = -elbo.mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(mu.detach().numpy().round(1), log_sigma.max().item())


prior = dist.Normal(0.0, 1.0)
q = dist.Normal(mu.detach(), log_sigma.detach().exp())
print(dist.kl_divergence(q, dist.Normal(cr.zeros(2), cr.ones(2))).sum().item())
print(prior.cdf(cr.tensor(0.0)).item(), prior.sample().shape)

policy = dist.Categorical(logits=cr.randn(4, 3))
action = policy.sample()
reward = (action == 0).float()
surprise = -(policy.log_prob(action) * reward).mean()
print(action.shape, surprise.item(), policy.probs.sum(-1).tolist())
coin = dist.Bernoulli(probs=cr.tensor([0.25, 0.75]))
print(coin.log_prob(cr.tensor([1.0, 0.0])), coin.batch_shape)
beta = dist.Beta(2.0, cr.tensor([3.0, 4.0]))
print(beta.variance, dist.Dirichlet(cr.ones(3)).sample((2,)).sum(-1))
cloud = dist.MultivariateNormal(cr.zeros(2), covariance_matrix=cr.eye(2) * 4)
print(cloud.log_prob(cloud.sample((5,))).shape)
