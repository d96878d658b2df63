from drs import *
from mlxgan import metrics
C=checkpoints.load_pretrained('classifier')
def cf(x): return metrics.features(C,x)[0]
class Ratio(nn.Module):
    def __init__(self,d=128):
        super().__init__(); self.a=nn.Linear(d,256); self.b=nn.Linear(256,256); self.c=nn.Linear(256,1); self.drop=nn.Dropout(.3)
    def __call__(self,x): return self.c(self.drop(nn.relu(self.b(self.drop(nn.relu(self.a(x))))))).squeeze(-1)
def fit(real,fake,epochs=15,seed=0):
    mx.random.seed(seed); mu,sd=real.mean(0),real.std(0)+1e-3
    R,F=[mx.array((v-mu)/sd) for v in (real,fake)]; m=Ratio(real.shape[1]); B=256; n=min(len(R),len(F))//B; steps=epochs*n
    opt=optim.AdamW(optim.cosine_decay(1e-3,steps),weight_decay=1e-3,bias_correction=True); opt.init(m.trainable_parameters())
    lg=nn.value_and_grad(m,lambda r,f: nn.softplus(-m(r)).mean()+nn.softplus(m(f)).mean()); st=[m.state,opt.state,mx.random.state]
    @partial(mx.compile,inputs=st,outputs=st)
    def step(r,f):
        l,g=lg(r,f); opt.update(m,g); return l
    rng=np.random.default_rng(seed)
    for e in range(epochs):
        pr,pf=(mx.array(rng.permutation(len(v)).astype(np.uint32)) for v in (R,F)); ls=[]
        for i in range(n):
            s=slice(i*B,(i+1)*B); ls.append(step(R[pr[s]],F[pf[s]])); mx.eval(ls[-1],st)
    m.eval(); print('   ratio loss',float(mx.stack(ls).mean()),flush=True)
    return lambda f: np.array(m(mx.array((f-mu)/sd)))

def manyl(g,n,scale,seed):
    mx.random.seed(seed); out=[];ys=[]
    for i in range(0,n,1000):
        y=data.draw_labels(1000); out.append(data.levels(g(scale*mx.random.normal((1000,g.latent_dim)),y))); mx.eval(out[-1]); ys.append(np.array(y))
    return mx.concatenate(out),np.concatenate(ys)
def perclass(t,y,rate,rng):
    k=np.zeros(len(t),bool)
    for c in range(10): k[y==c]=accept(t[y==c],rate,rng)
    return k
if __name__=='__main__':
    tr=data.load('train'); real=cf(tr.images); test=cf(data.load('test').images)
    for name,scale in (('conditional',1.),('conditional',1.1),('conditional',1.2)):
        g=checkpoints.load_pretrained(name); g.eval()
        fake=cf(many(g,60000,scale,5)); ratio=fit(real,fake)
        x,y=manyl(g,40000,scale,7); t=ratio(cf(x)); te=ratio(test)
        print(name,scale,'mean logit',t.mean(),'test',te.mean(),'acc',(te>0).mean(),(t<0).mean(), 'E exp(t)',np.exp(t).mean())
        rng=np.random.default_rng(0)
        for rate in (.7,.4,.26):
            keep=np.flatnonzero(perclass(t,y,rate,rng))[:10000]
            show(f'{name} {scale} accept {rate} n={len(keep)}', measure(x[mx.array(keep.astype(np.uint32))]))
