from judge import *
from mlxgan import measures, checkpoints, training, models
import os
J=None
def judge():
    global J
    if J is None:
        J=Judge(); J.load_weights('judge.safetensors'); J.eval()
    return J
def feats(images):
    j=judge(); F,P=[],[]
    for i in range(0,len(images),1000):
        x=data.normalize(data.levels(images[i:i+1000])); h=j.features(x); F.append(np.array(h)); P.append(np.array(mx.softmax(j.output(h),-1)))
    return np.concatenate(F),np.concatenate(P)
REF=None
def ref():
    global REF
    if REF is None:
        te=data.load('test'); REF=feats(te.images)[0]
    return REF
def measure(images):
    f,p=feats(images); r=ref()
    pr,re=measures.precision_recall(r,f); de,co=measures.density_coverage(r,f)
    return dict(fid=measures.fid(r,f),precision=pr,recall=re,density=de,coverage=co,sure=float((p.max(1)>.9).mean()))
def show(name, m): print(f"{name:40s} "+" ".join(f"{k} {v:.3f}" for k,v in m.items()), flush=True)
