import json,glob,os,numpy as np
from scipy import stats
import sys; sys.path.insert(0,'tools'); pass
import ablation
R='runs/ablation/'
def f(n,s): return R+f"{n.replace(',', '').replace(' ', '-')}-{s}.json"
names=[*ablation.SETTINGS,*ablation.TECHNIQUES,*ablation.WITHOUT]
runs={n:{s:json.load(open(f(n,s))) for s in range(5) if os.path.exists(f(n,s))} for n in names}
common=[s for s in range(5) if all(s in r for r in runs.values())]
print('seeds',{n:sorted(r) for n,r in runs.items()})
for n,r in runs.items():
    v=lambda m,w='average': np.array([r[s][w][m] for s in r])
    sd=lambda a: a.std(ddof=1) if len(a)>1 else 0
    print(f"{n:34s} FID {v('fid').mean():7.1f} ± {sd(v('fid')):.1f}  last {v('fid','last').mean():7.1f} ± {sd(v('fid','last')):.1f}  P {v('precision').mean():.3f} R {v('recall').mean():.2f} ± {sd(v('recall')):.2f}  cov {v('coverage').mean():.2f} ± {sd(v('coverage')):.2f}  lost {(v('recall')<.05).sum()}")
pairs={'recipe':names[1:],'nothing':names[9:13],'R1':['R1, no variety term'],'spectral, hinge':['spectral, hinge, no variety term']}
wide=1-.05/35
for o,ss in pairs.items():
    for n in ss:
        c=[s for s in runs[n] if s in runs[o]]
        if len(c)<2: continue
        l=np.log([runs[n][s]['average']['fid']/runs[o][s]['average']['fid'] for s in c]); e=l.std(ddof=1)/len(c)**.5
        t1,t2=stats.t.ppf(.975,len(c)-1),stats.t.ppf((1+wide)/2,len(c)-1)
        print(f"{n:34s}/{o:10s} {np.exp(l.mean()):.2f} 95% {np.exp(l.mean()-t1*e):.2f}-{np.exp(l.mean()+t1*e):.2f} wide {np.exp(l.mean()-t2*e):.2f}-{np.exp(l.mean()+t2*e):.2f}")
for n,r in runs.items():
    l=np.log([x['last']['fid']/x['average']['fid'] for x in r.values()])
    if len(l)>1:
        e=l.std(ddof=1)/len(l)**.5; t2=stats.t.ppf((1+wide)/2,len(l)-1); print(f"avg {n:34s} {np.exp(l.mean()):.1f} wide {np.exp(l.mean()-t2*e):.2f}-{np.exp(l.mean()+t2*e):.2f}")
print('seconds', sum(sum(x['history']['seconds']) for r in runs.values() for x in r.values())/3600, sum(sum(json.load(open(g))['history']['seconds']) for g in glob.glob(R+'*-100.json'))/3600)
