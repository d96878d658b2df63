from fdrs2 import *
def train_half(seed=3, epochs=4):
    mx.random.seed(seed); tr=data.load('train'); order=np.random.default_rng(seed).permutation(len(tr)).astype(np.uint32)
    A,B=order[:30000],order[30000:]
    half=data.Digits(tr.images[mx.array(A)],tr.labels[mx.array(A)],tr.name)
    m=models.Classifier(); m.train(); steps=epochs*len(half)//64
    opt=optim.Adam(optim.cosine_decay(1e-3,steps),bias_correction=True); opt.init(m.trainable_parameters())
    lg=nn.value_and_grad(m, lambda x,y: nn.losses.cross_entropy(m(x),y,reduction='mean')); st=[m.state,opt.state,mx.random.state]
    @partial(mx.compile,inputs=st,outputs=st)
    def step(x,y):
        l,g=lg(x,y); opt.update(m,g); return l
    for e in range(epochs):
        for x,y in data.batches(half,64,seed=seed,epoch=e):
            l=step(x,y); mx.eval(l,st)
    m.eval(); return m,tr.images[mx.array(B)],np.array(tr.labels)[B]
if __name__=='__main__':
    H,imgs,labs=train_half(); real=metrics.features(H,imgs)[0]; shares=np.bincount(labs)/len(labs)
    te=metrics.features(H,data.load('test').images); print('half accuracy',(te[1].argmax(1)==np.array(data.load('test').labels)).mean(),flush=True)
    for name,scale in (('dcgan',1.),('conditional',1.),('conditional',1.1),('dcgan',1.07)):
        g=checkpoints.load_pretrained(name); g.eval()
        fake=metrics.features(H,many(g,30000,scale,5))[0]; ratio=fit(real,fake,epochs=15)
        x=many(g,40000,scale,7); f,p=metrics.features(H,x); y=p.argmax(1); t=ratio(f); have=np.bincount(y)/len(y)
        print(name,scale,'mean logit',t.mean(),'test',ratio(te[0]).mean(),'E exp(t)',np.exp(t).mean(), (have/shares).round(2))
        rng=np.random.default_rng(0)
        for rate in (.7,.4,.26):
            k=np.zeros(len(t),bool)
            for c in range(10): k[y==c]=accept(t[y==c],min(1,rate*shares[c]/have[c]),rng)
            keep=np.flatnonzero(k)[:10000]
            show(f'{name} {scale} accept {rate} n={len(keep)}', measure(x[mx.array(keep.astype(np.uint32))]))
