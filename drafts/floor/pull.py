from half import *
from mlxgan import recipes
import sys
class D(models.ConditionalDiscriminator):
    pull=1.0
    def __call__(self, images, labels):
        x=self.compress(images); features=self.features(x)
        agreement=(features*self.embedding(labels)).sum(axis=-1)/self.hidden**0.5
        spread=mx.log(models.spread_within_classes(x,labels,self.classes)).mean()
        return self.out(features).squeeze(-1)+self.pull*agreement+3*self.variety*spread
if __name__=='__main__':
    pull,epochs,seed=float(sys.argv[1]),int(sys.argv[2]),int(sys.argv[3]); tag=sys.argv[4]
    D.pull=pull
    r=recipes.RECIPES['conditional']; recipes.seed_everything(seed); tr=data.load('train')
    g,d,avg=r.generator(),D(),r.generator()
    def on_epoch(e,h):
        if e>=2:
            checkpoints.save(f'pull-{tag}-{e}.safetensors',avg)
            mx.random.seed(100+e) if False else None
            z=mx.random.normal((10000,100),key=mx.random.key(7)); rng=np.random.default_rng(0)
            y=mx.array(rng.permutation(np.repeat(np.arange(10),np.bincount(np.array(tr.labels))*10000//60000+1))[:10000].astype(np.int32))
            show(f'pull {pull} epoch {e}', measure(training.sample(avg,z,y)))
    training.train(g,d,tr,epochs=epochs,batch_size=64,seed=seed,average=avg,on_epoch=on_epoch,**r.settings(epochs*937))
