import mlxgan, time, sys
from mlxgan import data
from mlxgan.models import Judge
import mlx.core as mx, mlx.nn as nn, mlx.optimizers as optim, numpy as np
from functools import partial
def accuracy(m, d):
    m.eval(); r=0
    for i in range(0,len(d),1000): r+= int((m(data.normalize(d.images[i:i+1000])).argmax(-1)==d.labels[i:i+1000]).sum())
    m.train(); return r/len(d)
if __name__=='__main__':
    mx.random.seed(0); tr, te = data.load('train'), data.load('test')
    m=Judge(); epochs=8; steps=epochs*len(tr)//64
    opt=optim.Adam(optim.cosine_decay(2e-3, steps), bias_correction=True); opt.init(m.trainable_parameters())
    lg=nn.value_and_grad(m, lambda x,y: nn.losses.cross_entropy(m(x),y,reduction='mean'))
    st=[m.state,opt.state]
    @partial(mx.compile,inputs=st,outputs=st)
    def step(x,y):
        l,g=lg(x,y); opt.update(m,g); return l
    for e in range(1,epochs+1):
        t=time.time()
        for x,y in data.batches(tr,64,seed=0,epoch=e):
            l=step(x,y); mx.eval(l,st)
        print(e, time.time()-t, float(l), accuracy(m,te), flush=True)
    from mlx.utils import tree_flatten
    mx.save_safetensors('judge.safetensors', dict(tree_flatten(m.parameters())))
