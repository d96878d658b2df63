from measure import *
import sys
class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1=layers.Conv2d(1,32,4,stride=2,padding=1); self.conv2=layers.Conv2d(32,64,4,stride=2,padding=1)
        self.norm2=nn.BatchNorm(64); self.hidden=nn.Linear(3136,256); self.drop=nn.Dropout(.3); self.output=nn.Linear(256,1)
    def __call__(self,x):
        x=nn.leaky_relu(self.conv1(x),.2); x=nn.leaky_relu(self.norm2(self.conv2(x)),.2)
        return self.output(self.drop(nn.leaky_relu(self.hidden(x.reshape(len(x),-1)),.2))).squeeze(-1)
def draw(g, n, scale):
    z=scale*mx.random.normal((n,g.latent_dim))
    return g(z,data.draw_labels(n)) if models.is_conditional(g) else g(z)
def train_critic(g, scale, epochs=2, seed=1):
    mx.random.seed(seed); tr=data.load('train'); g.eval(); c=Critic(); steps=epochs*(len(tr)//64)
    opt=optim.Adam(optim.cosine_decay(1e-3,steps),bias_correction=True); opt.init(c.trainable_parameters())
    def loss(r,f):
        t=c(mx.concatenate([r,f])); return nn.softplus(-t[:64]).mean()+nn.softplus(t[64:]).mean()
    lg=nn.value_and_grad(c,loss); st=[c.state,opt.state,mx.random.state]
    @partial(mx.compile,inputs=st,outputs=st)
    def step(x,f):
        l,gr=lg(x,f); opt.update(c,gr); return l
    t0=time.time(); ls=[]
    for e in range(epochs):
        for x,_ in data.batches(tr,64,seed=seed,epoch=e):
            f=data.normalize(data.levels(draw(g,64,scale)))   # rounded, as files are
            ls.append(step(x,f)); mx.eval(ls[-1],st)
        print('  critic epoch',e,'loss',float(mx.stack(ls[-900:]).mean()),'time',time.time()-t0,flush=True)
    c.eval(); return c
def logits(c,x):
    return np.concatenate([np.array(c(data.normalize(x[i:i+1000]))) for i in range(0,len(x),1000)])
def many(g,n,scale,seed):
    mx.random.seed(seed); out=[]
    for i in range(0,n,1000):
        out.append(data.levels(draw(g,1000,scale))); mx.eval(out[-1])
    return mx.concatenate(out)
def accept(t, rate, rng):
    # p = min(1, exp(t-c)), c such that mean p = rate
    lo,hi=t.min()-20,t.max()+20
    for _ in range(60):
        m=(lo+hi)/2
        if np.minimum(1,np.exp(t-m)).mean()>rate: lo=m
        else: hi=m
    return rng.random(len(t))<np.minimum(1,np.exp(t-lo))
if __name__=='__main__':
    for name,scale in (('conditional',1.),('conditional',1.2),('dcgan',1.),('dcgan',1.2)):
        g=checkpoints.load_pretrained(name); c=train_critic(g,scale)
        x=many(g,50000,scale,7); t=logits(c,x); te=logits(c,data.load('test').images)
        print(name,scale,'mean logit fake',t.mean(),'test',te.mean(),'acc',(te>0).mean(),(t<0).mean())
        rng=np.random.default_rng(0)
        for rate in (.9,.7,.5,.3,.22):
            keep=np.flatnonzero(accept(t,rate,rng))[:10000]
            show(f'{name} {scale} accept {rate} n={len(keep)}', measure(x[mx.array(keep.astype(np.uint32))]))
