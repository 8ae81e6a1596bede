"""Wrong command lines and files, over the commands: a few lines that name the key or the file, and nothing written."""

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from lstm_ae import compare, encode, evaluate, export, forecast, score, train
from lstm_ae.config import CONF
from lstm_ae.runs.directory import RunDirectory
from tests.commands import TINY_SYNTHETIC, call

MAINS = {
    "train": train.main, "evaluate": evaluate.main, "forecast": forecast.main, "compare": compare.main,
    "encode": encode.main, "score": score.main, "export": export.main,
}  # fmt: skip
MAX_LINES = 8
TO_THE_MODEL = ("monitor=", "weights=", "cross_validation=1000")  # found only once data and model are made

# The command line, then what its message must say. {run} is a finished run, {table} one on a table, {NAME} a run of
# DAMAGED or a file of FILES.
TRAIN = [
    # keys that do not exist
    ("hidden_size=4", "model.hidden_size"),
    ("model.hiden_size=3", "Did you mean model.hidden_size?"),
    ("trainer.epochs=3", "trainer"),
    ("lr=0.1", "optimizer.lr"),
    ("+trainer.patiance=3", "trainer.patiance did you mean patience?"),
    ("+optimizer.learning_rate=3", "optimizer.learning_rate no such option"),
    ("+dataset.nonsense=3", "dataset.nonsense no such option"),
    ("+model.encoder.heads=3", "model.encoder.heads no such option"),
    ("+objective.weight=3", "objective.weight no such option"),
    ("+scheduler.gamma=3", "scheduler.gamma no such option"),
    ("~model", "model"),
    ("~trainer", "trainer"),
    ("~seed", "seed"),
    ("~nonsense", "nonsense"),
    # what Hydra cannot read
    ("=5", "=5"),
    ("seed", "seed"),
    ("seed=[", "["),
    ("seed={a", "{a"),
    ("'model hidden=3'", "model hidden"),
    ("--nonsense", "nonsense"),
    ("--config-dir=nowhere", "nowhere"),
    ("--config-name=nowhere", "nowhere"),
    ("seed=${oc.env:LSTM_AE_NOT_SET}", "LSTM_AE_NOT_SET"),
    ("seed=${nonsense}", "nonsense"),
    ("seed=${nonsense:1}", "nonsense"),
    ("seed=${seed}", "seed"),
    # groups
    ("dataset=mnsit_rows", "mnsit_rows mnist_rows"),
    ("model=lstm", "model/lstm autoencoder"),
    ("model/encoder=gru", "model/encoder/gru lstm"),
    ("model/decoder=nonsense", "repeat_context"),
    ("model/head=nonsense", "classifier"),
    ("optimizer=lbfgs", "optimizer/lbfgs adam"),
    ("scheduler=step", "scheduler/step cosine"),
    ("trainer=fast", "trainer/fast debug"),
    ("objective=mse", "objective/mse joint"),
    ("experiment=nonsense", "experiment/nonsense digits"),
    ("pruner=nonsense", "pruner/nonsense median"),
    ("pruner=median", "pruner=median searches"),
    ("sweep=nonsense", "-m"),
    ("sweep=synthetic_tpe", "-m"),
    ("dataset=null", "dataset=null name"),
    ("model/encoder=5", "model/encoder=5 name"),
    # values of the root
    ("seed=-1", "seed=-1 >= 0"),
    ("seed=abc", "seed=abc whole number"),
    ("seed=1.5", "seed=1.5 whole number"),
    ("seed=5000000000", "seed=5000000000 < 4"),
    ("seed=null", "seed=null whole number"),
    ("seed=[1,2]", "seed= whole number"),
    ("split_seed=x", "split_seed=x whole number"),
    ("device=gpu", "device=gpu auto, cpu, cuda"),
    ("device=0", "device=0 auto, cpu, cuda"),
    ("backend=jax", "backend=jax auto, torch, native"),
    ("threads=0", "threads=0 >= 1"),
    ("threads=100000", "threads=100000 1024"),
    ("threads=two", "threads=two whole number"),
    ("mode=best", "mode=best min, max"),
    ("mode=[min]", "mode="),
    ("monitor=loss", "monitor=loss"),
    ("monitor=val/nonsense", "monitor=val/nonsense val/reconstruction"),
    ("monitor=test/loss", "monitor=test/loss"),
    ("monitor=[a,b]", "mode=[min,min]"),
    ("monitor=[val/loss,val/loss,val/loss] mode=[min,min,min]", "monitor= two"),
    ("monitor=null", "monitor=null"),
    ("monitor=val/loss mode=max", "mode=max"),
    ("cross_validation=abc", "cross_validation=abc whole number"),
    ("cross_validation=1", "cross_validation=1 >= 2"),
    ("cross_validation=3 dataset.num_folds=3", "dataset.num_folds cross_validation"),
    ("cross_validation=1000", "num_folds=1000 at most"),
    ("study_name=../../x", "study_name=../../x letters"),
    ("workers=2", "workers=2 searches"),
    ("workers=0", "workers"),
    ("revalidate=3", "revalidate=3 searches"),
    ("weights=nowhere", "nowhere no such checkpoint"),
    ("weights={run} model.encoder.hidden_size=4", "weights does not fit"),
    ("weights=[1]", "weights"),
    # values of parts
    ("model.hidden_size=0", "model.hidden_size=0 >= 1"),
    ("model.hidden_size=1e20", "model.hidden_size=1e+20 whole number"),
    ("model.hidden_size=100000000", "model.hidden_size=100000000 too large GB"),
    ("model.hidden_size=null", "model.hidden_size=null whole number"),
    ("model.hidden_size=true", "model.hidden_size= whole number"),
    ("model.encoder.hidden_size=-3", "model.encoder.hidden_size=-3 >= 1"),
    ("model.num_layers=0", "model.num_layers=0 >= 1"),
    ("model.num_layers=100000", "model.num_layers=100000 at most"),
    ("model.dropout=1", "model.dropout=1 < 1"),
    ("model.dropout=-0.1", "model.dropout=-0.1 >= 0"),
    ("model.encoder=lstm", "model.encoder=lstm model/encoder=..."),
    ("model.encoder._target_=os.system", "model.encoder._target_=os.system no part"),
    ("model.encoder._target_=lstm_ae.data.files.PublicFile.read", "no part"),
    ("model.encoder._target_=lstm_ae.compare.compare", "no part"),
    ("model.encoder._target_=lstm_ae.nowhere.Thing", "no part"),
    ("model.encoder._target_=my.Encoder", "LSTM_AE_ALLOW"),
    ("model.encoder._target_=null", "model.encoder"),
    ("+model.encoder._args_=[1]", "_args_"),
    ("+model.encoder._recursive_=false", "_recursive_"),
    ("optimizer._target_=subprocess.call", "optimizer subprocess.call"),
    ("optimizer.lr=0", "optimizer.lr=0 > 0"),
    ("optimizer.lr=-1", "optimizer.lr=-1 > 0"),
    ("optimizer.lr=fast", "optimizer.lr=fast number"),
    ("optimizer.lr=nan", "optimizer.lr=nan number"),
    ("optimizer.lr=inf", "optimizer.lr=inf number"),
    ("optimizer.lr=1e-3x", "optimizer.lr=1e-3x number"),
    ("optimizer.weight_decay=-1", "optimizer.weight_decay=-1 >= 0"),
    ("optimizer=sgd optimizer.momentum=-1", "optimizer.momentum"),
    ("scheduler=one_cycle scheduler.warmup=2", "scheduler.warmup=2"),
    ("scheduler=plateau scheduler.factor=0", "scheduler.factor=0"),
    ("objective.reconstruction_weight=1.5", "objective.reconstruction_weight=1.5 <= 1"),
    ("objective.reconstruction_weight=0.5", "objective.reconstruction_weight=0.5 model=classifier"),
    ("trainer.max_epochs=0", "trainer.max_epochs=0 >= 1"),
    ("trainer.max_epochs='${seed}'", "trainer.max_epochs=0 >= 1"),
    ("trainer.max_epochs=1e9", "trainer.max_epochs whole number"),
    ("trainer.patience=0", "trainer.patience=0 >= 1"),
    ("trainer.gradient_clip_norm=0", "trainer.gradient_clip_norm=0 > 0"),
    ("trainer.max_batches=-1", "trainer.max_batches=-1 >= 1"),
    ("trainer.mixed_precision=yes_please", "trainer.mixed_precision true or false"),
    ("trainer.mixed_precision=true device=cpu", "trainer.mixed_precision cuda"),
    # data
    ("dataset.num_sequences=1000000000000", "dataset.num_sequences=1000000000000 too large GB"),
    ("dataset.length=1000000000", "dataset.length=1000000000 too large GB"),
    ("dataset.num_sequences=5", "dataset.num_sequences=5 >= 10"),
    ("dataset.batch_size=0", "dataset.batch_size=0 >= 1"),
    ("dataset.batch_size=1.5", "dataset.batch_size=1.5 whole number"),
    ("dataset.dip_length=60", "dataset.dip_length=60 at most 50"),
    ("dataset.dip_center=[0,3]", "dataset.dip_center 5 to 45"),
    ("dataset.dip_center=5", "dataset.dip_center list of 2"),
    ("dataset.dip_center=[1,2,3]", "dataset.dip_center list of 2"),
    ("dataset.dip_center=[30,20]", "dataset.dip_center first"),
    ("dataset.dip_scale=-1", "dataset.dip_scale=-1 >= 0"),
    ("dataset.dip_scale=18446744073709551616", "dataset.dip_scale=18446744073709551616 64 bits"),
    ("dataset.val_fraction=0", "dataset.val_fraction=0 > 0"),
    ("dataset.val_fraction=0.9", "dataset.test_fraction"),
    ("dataset.test_fraction=1", "dataset.test_fraction=1 < 1"),
    ("dataset.num_train=1000000", "dataset.num_train=1000000 at most"),
    ("dataset.num_train=0", "dataset.num_train=0 >= 1"),
    ("dataset.fold=1", "dataset.fold=1 num_folds"),
    ("dataset.fold=7 dataset.num_folds=5", "dataset.fold=7 0 to 4"),
    ("dataset.num_folds=1", "dataset.num_folds=1 >= 2"),
    ("dataset.num_folds=1000000", "dataset.num_folds=1000000 at most"),
    ("model=classifier", "model.head labels"),
    ("model=forecaster", "model.head forecast"),
    ("dataset=digits_pixels model/encoder=pyramidal model.encoder.strides=[1000,1000]", "strides"),
    ("dataset=digits_pixels model/encoder=pyramidal model.encoder.strides=5", "strides list"),
    ("dataset=digits_pixels model/encoder=pyramidal model.encoder.strides=[0]", "strides"),
    # directories
    ("hydra.run.dir={run}", "hydra.run.dir holds a run already resume= rerun="),
    ("hydra.run.dir=/proc/nobody/run", "/proc/nobody cannot be written"),
    ("-m seed=1,2 hydra.sweep.dir={sweep}", "hydra.sweep.dir holds runs already"),
    ("-m seed=1,2 workers=2", "workers=2 searches"),
    ("-m seed=1,2 --cfg job", "--cfg leave out --multirun"),
    # going on
    ("resume=nowhere", "resume=nowhere .hydra/config.yaml"),
    ("resume={file}", "resume="),
    ("resume={run} seed=7", "seed=7 another experiment weights="),
    ("resume={run} optimizer.lr=1", "optimizer.lr=1 another experiment weights="),
    ("resume={run} trainer.max_epochs=-1", "trainer.max_epochs=-1 >= 1"),
    ("resume={run} trainer.max_epoch=3", "max_epoch trainer.max_epochs"),
    ("resume={run} device=tpu", "device=tpu auto, cpu, cuda"),
    ("resume={run} model=classifier", "model"),
    ("resume={run} hydra.run.dir=elsewhere", "hydra.run.dir rerun="),
    ("-m resume={run}", "leave out -m"),
    ("resume={run} rerun={run}", "give one"),
    ("resume={hooked}", "more than Hydra writes there"),
    ("rerun={hooked}", "more than Hydra writes there"),
    ("resume={bomb} trainer.max_epochs=9", "not a config"),
    ("resume={deep} trainer.max_epochs=9", "not a config"),
    ("resume={no_last} trainer.max_epochs=9", "nothing to resume"),
    ("resume={flipped} trainer.max_epochs=9", "last.pt checksum best.pt beside it is whole cp"),
    ("resume={garbled} trainer.max_epochs=9", "summary.json Remove it"),
    ("resume={linked} trainer.max_epochs=9", "symbolic link"),
    ("rerun=nowhere", "rerun=nowhere"),
    ("rerun={run} trainer.max_epochs=9", "another experiment"),
]  # fmt: skip
READ = [
    ("", "run=??? needs a value"),
    ("run=null", "run=null a text"),
    ("run=5", "run=5 a text"),
    ("run=[a]", "run=['a'] a text"),
    ("run=nowhere", "nowhere not a run directory"),
    ("run={file}", "not a run directory"),
    ("run={run} device=gpu", "device=gpu auto, cpu, cuda"),
    ("run={run} threads=0", "threads=0 >= 1"),
    ("run={run} threads=100000", "threads=100000 1024"),
    ("run={run} output=5", "output=5 a text"),
    ("run={run} nonsense=1", "nonsense"),
    ("ruin={run}", "ruin run"),
    ("--nonsense", "nonsense"),
    ("run={no_best}", "best.pt no such checkpoint"),
    ("run={cut}", "best.pt not a readable checkpoint last.pt beside it is whole"),
    ("run={zipped}", "best.pt not a readable checkpoint compressed"),
    ("run={foreign}", "best.pt not a readable checkpoint"),
    ("run={other_model}", "best.pt does not fit the model"),
    ("run={wrong_spec}", "best.pt not a checkpoint of this program"),
    ("run={huge_spec}", "too large GB"),
    ("run={no_history}", "best.pt not a checkpoint of this program"),
    ("run={bomb}", "config.yaml not a config"),
    ("run={deep}", "config.yaml not a config"),
    ("run={no_config}", "not a run directory"),
    ("run={empty_config}", "config.yaml"),
    ("run={calling}", "no part that a config may name"),
]
EVALUATE = [("run={linked}", "symbolic link"), ("run={run} output={file}", "cannot be written")]
FORECAST = [
    ("run={run}", "does not forecast model=forecaster"),
    ("run={run} steps=0", "steps=0 >= 1"),
    ("run={run} steps=many", "steps=many whole number"),
    ("run={run} feed=backwards", "feed=backwards sliding, growing"),
    ("run={run} in_sample=maybe", "in_sample=maybe true or false"),
    ("run={run} symbol=X", "symbol=X series=X"),
    ("run={run} start=5", "start=5 a text"),
]
# Of the three commands that write a file: the run, where the file goes, and what lies there already.
WRITE = [
    ("", "run=??? needs a value"),
    ("run=null", "run=null a text"),
    ("run=nowhere", "nowhere not a run directory"),
    ("run={file}", "not a run directory"),
    ("run={run} output=5", "output=5 a text"),
    ("run={run} nonsense=1", "nonsense"),
    ("--nonsense", "nonsense"),
]
BROKEN = [
    ("run={no_best}", "best.pt no such checkpoint"),
    ("run={cut}", "best.pt not a readable checkpoint last.pt beside it is whole"),
    ("run={zipped}", "best.pt not a readable checkpoint compressed"),
    ("run={other_model}", "best.pt does not fit the model"),
    ("run={huge_spec}", "too large GB"),
    ("run={bomb}", "config.yaml not a config"),
    ("run={no_config}", "not a run directory"),
    ("run={calling}", "no part that a config may name"),
]
ENCODE = [
    *WRITE,
    *BROKEN,
    ("run={linked}", "symbolic link"),
    ("run={run} input=nowhere.csv", "nowhere.csv no such file"),
    ("run={run} input=5", "input=5 a text"),
    ("run={run} input=[]", "input=[] not empty"),
    ("run={run} input={sweep}", "is a folder"),
    ("run={run} input={good.csv}", "synthetic reads no tables dataset=table"),
    ("run={table} input='*.xyz'", "*.xyz no such file"),
    ("run={table} input=[{good.csv},nowhere.csv]", "nowhere.csv no such file"),
    ("run={table} input={empty.csv}", "empty.csv the file is empty"),
    ("run={table} input={header.csv}", "header.csv no rows"),
    ("run={table} input={words.csv}", "words.csv line 2 'a' 'x' no number"),
    ("run={table} input={no_b.csv}", "no_b.csv no column 'b'"),
    ("run={table} input={noise.csv}", "noise.csv not UTF-8"),
    ("run={table} input={noise.parquet}", "noise.parquet"),
    ("run={table} input={short.csv}", "short.csv 10 rows longest series has 2"),
    ("run={run} input={noise.npy}", "noise.npy not a readable NumPy file"),
    ("run={run} input={words.ts}", "words.ts line 2 'x' no number"),
    ("run={run} input=[a.npy,b.npy]", "one at a time"),
    ("run={table} input={good.csv} stride=0", "stride=0 >= 1"),
    ("run={table} input={good.csv} stride=1000", "stride=1000 at most 10"),
    ("run={run} reconstruct=maybe", "reconstruct=maybe true or false"),
    ("run={run} device=gpu", "device=gpu auto, cpu, cuda"),
    ("run={run} output=contexts", "output=contexts .csv, .parquet, .npz"),
    ("run={run} output=/dev/null", "output=/dev/null .csv"),
    ("run={run} output=/proc/nobody/x.csv", "/proc/nobody cannot be written"),
    ("run={run} output={file}/x.csv", "cannot be written"),
    ("run={run} output={mine.csv}", "mine.csv did not write"),
    ("run={run} output={noise.parquet}", "noise.parquet did not write"),
    ("run={run} output={mine.npz}", "mine.npz did not write"),
    ("run={run} output={link.csv}", "link.csv is a link"),
    ("run={run} output={pipe.csv}", "pipe.csv a device"),
    ("run={run} output={run}/metrics.csv", "metrics.csv did not write"),
    ("run={run} output={new.csv} reconstruct=true", "new_reconstructions.csv did not write"),
]  # fmt: skip
SCORE = [
    *WRITE,
    *[(f"{line} input={{good.csv}}", words) for line, words in BROKEN],
    ("run={linked} input={good.csv}", "symbolic link"),
    ("run={run}", "reads no table input=FILE"),
    ("run={run} input={good.csv}", "synthetic reads no tables dataset=table"),
    ("run={table} input=nowhere.csv", "nowhere.csv no such file"),
    ("run={table} input=5", "input=5 a text"),
    ("run={table} input=[]", "input=[] not empty"),
    ("run={table} input={sweep}", "holds no table"),
    ("run={table} input={empty.csv}", "empty.csv the file is empty"),
    ("run={table} input={header.csv}", "header.csv no rows"),
    ("run={table} input={words.csv}", "words.csv line 2 'a' 'x' no number"),
    ("run={table} input={no_b.csv}", "no_b.csv no column 'b'"),
    ("run={table} input={noise.csv}", "noise.csv not UTF-8"),
    ("run={table} input={noise.npy}", "noise.npy not a table"),
    ("run={table} input={short.csv}", "short.csv 10 steps longest series has 2"),
    ("run={table} stride=0", "stride=0 >= 1"),
    ("run={table} stride=1000", "stride=1000 at most 10"),
    ("run={table} reduction=max", "reduction=max median, mean"),
    ("run={table} smooth=0", "smooth=0 >= 1"),
    ("run={table} buffer=-1", "buffer=-1 >= 0"),
    ("run={table} workers=0", "workers=0 >= 1"),
    ("run={table} label=nonsense", "label=nonsense no such column"),
    ("run={table} threshold=null", "threshold=null group of keys"),
    ("run={table} threshold.method=nonsense", "threshold.method=nonsense quantile, deviations, oracle_f1"),
    ("run={table} threshold.method=oracle_f1", "oracle_f1 label="),
    ("run={table} threshold.quantile=2", "threshold.quantile=2 <= 1"),
    ("run={table} threshold.scores=test", "threshold.scores=test validation, input"),
    ("run={table} scorer=nonsense", "scorer/nonsense gaussian"),
    ("run={table} scorer=null", "scorer=null"),
    ("run={table} scorer._target_=os.system", "scorer._target_=os.system no part"),
    ("run={table} +scorer.x=1", "scorer.x=1 no such option"),
    ("run={table} output=scores", "output=scores .csv or .parquet"),
    ("run={table} output=/proc/nobody/x.csv", "/proc/nobody cannot be written"),
    ("run={table} output={file}/x.csv", "cannot be written"),
    ("run={table} output={mine.csv}", "mine.csv did not write"),
    ("run={table} output={good.csv}", "good.csv did not write"),
    ("run={table} output={noise.parquet}", "noise.parquet did not write"),
    ("run={table} output={link.csv}", "link.csv is a link"),
    ("run={table} output={pipe.csv}", "pipe.csv a device"),
    ("run={table} output={table}/metrics.csv", "metrics.csv did not write"),
    ("run={table} output={table}/summary.csv", "summary.json did not write"),
    ("run={table} input=[{good.csv},{short.csv}] output={table}", "metrics.csv did not write"),
]
EXPORT = [
    *WRITE,
    *BROKEN,
    ("run={linked}", "symbolic link"),
    ("run={run} format=tensorflow", "format=tensorflow onnx, torch"),
    ("run={run} device=cpu", "device format"),
    ("run={run} output=model", "output=model .onnx"),
    ("run={run} output=x.pt2", "output=x.pt2 .onnx"),
    ("run={run} format=torch output=x.onnx", "output=x.onnx .pt2"),
    ("run={run} output=/proc/nobody/x.onnx", "/proc/nobody cannot be written"),
    ("run={run} output={file}/x.onnx", "cannot be written"),
    ("run={run} output={mine.onnx}", "mine.onnx did not write"),
    ("run={run} format=torch output={mine.pt2}", "mine.pt2 did not write"),
    ("run={run} output={link.onnx}", "link.onnx is a link"),
]
COMPARE = [
    ("", "which runs?"),
    ("nowhere", "nowhere no such directory"),
    ("{file}", "no such directory"),
    (".", "no run in or below"),
    ("{run} --nonsense", "nonsense"),
    ("{run} --top 0", "--top=0 at least 1"),
    ("{run} --top many", "--top many"),
    ("{run} --sort nonsense", "--sort=nonsense"),
    ("{run} --sort val/loss:best", "min or max"),
    ("{run} --metrics nonsense", "--metrics=nonsense Present"),
    ("{run} --keys nonsense", "--keys=nonsense Present"),
    ("{run} --status nonsense", "--status=nonsense Present"),
    ("{run} --filter 'seed = 0'", "--filter =="),
    ("{run} --filter 'seed'", "--filter compares nothing"),
    ("{run} --filter '__import__(1)'", "--filter"),
    ("{run} --filter 'seed > 5'", "no run passes"),
    ("{run} --filter ''", "--filter"),
    ("{run} --diff a b", "--diff a no such run"),
    ("{run} --csv .", "--csv=. must be a file"),
    ("{run} --csv nowhere/x.csv", "no folder nowhere"),
    ("{run} --csv {run}/metrics.csv", "metrics.csv --force"),
    ("{run} --json {run}/summary.json", "summary.json --force"),
    ("{run} --markdown {file}", "--force"),
    ("{run} --html {file}", "--force"),
    ("{run} --html -", "--html=- must be a file"),
    ("{run} --output x", "--output=x --figures"),
]
CASES = [
    *[("train", *case) for case in TRAIN],
    *[("evaluate", *case) for case in READ],
    *[("forecast", *case) for case in READ[:9]],
    *[("evaluate", *case) for case in EVALUATE],
    *[("forecast", *case) for case in FORECAST],
    *[("compare", *case) for case in COMPARE],
    *[("encode", *case) for case in ENCODE],
    *[("score", *case) for case in SCORE],
    *[("export", *case) for case in EXPORT],
]
# What is enough now and then: two of five command lines that train, and damage that `evaluate` sees every day.
LONG = {
    i for i, (command, line, _) in enumerate(CASES)
    if (command == "train" and i % 5 in (1, 3))
    or (command in ("encode", "score", "export") and line.split(" ")[0] in dict(BROKEN))
}  # fmt: skip


def flip(path: Path) -> None:
    """Change one bit in the middle of a tensor."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def damage(run: Path, kind: str) -> None:
    """Damage a run in one of the ways that the cases name."""
    config, best = run / ".hydra/config.yaml", run / "checkpoints/best.pt"

    def change(**fields: object) -> None:
        torch.save(torch.load(best, weights_only=True) | fields, best)

    if kind == "no_last":
        (run / "checkpoints/last.pt").unlink()
    elif kind == "no_best":
        best.unlink()
    elif kind == "flipped":
        flip(run / "checkpoints/last.pt")
    elif kind == "cut":
        best.write_bytes(best.read_bytes()[:-100])
    elif kind == "zipped":
        import zipfile

        with zipfile.ZipFile(best, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("archive/data/0", bytes(10_000_000))
    elif kind == "foreign":
        torch.save([1, 2], best)
    elif kind == "other_model":
        change(model={"weight": torch.zeros(2)})
    elif kind == "wrong_spec":
        change(spec={"name": "x", "length": "long", "features": 1})
    elif kind == "huge_spec":
        change(spec={"name": "x", "length": 8, "features": 10**12})
    elif kind == "no_history":
        change(history=[])
    elif kind == "bomb":
        aliases = "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9) if i else 'x'}]\n" for i in range(12))
        config.write_text(aliases)
    elif kind == "deep":
        config.write_text("x: " + "[" * 100_000)
    elif kind == "garbled":
        (run / "summary.json").write_text('{"status": "compl')
    elif kind == "linked":
        shutil.rmtree(run / "figures", ignore_errors=True)
        (run / "figures").symlink_to(run.parent)
    elif kind == "hooked":
        config.write_text(config.read_text() + '"hydra": {job: {env_set: {HARM: done}}}\n')
    elif kind == "no_config":
        config.unlink()
    elif kind == "empty_config":
        config.write_text("")
    elif kind == "calling":
        saved = OmegaConf.load(config)
        saved.model.encoder = {"_target_": "pathlib.Path.touch", "_args_": ["x"]}
        OmegaConf.save(saved, config)


DAMAGED = (
    "no_last", "no_best", "flipped", "cut", "zipped", "foreign", "other_model", "wrong_spec", "huge_spec", "no_history",
    "bomb", "deep", "garbled", "linked", "hooked", "no_config", "empty_config", "calling",
)  # fmt: skip


# Files that stand ready: some to be read, some that nobody may write over.
FILES = {
    "file": "mine\n",
    "good.csv": "time,a,b\n" + "".join(f"{i},{i % 7},{i % 5}\n" for i in range(200)),
    "empty.csv": "",
    "header.csv": "time,a,b\n",
    "words.csv": "time,a,b\n0,x,y\n1,z,w\n",
    "no_b.csv": "time,a\n0,1\n1,2\n",
    "short.csv": "time,a,b\n0,1,2\n1,2,3\n",
    "words.ts": "@data\n1,2,x\n",
    **dict.fromkeys(("mine.csv", "new_reconstructions.csv"), "name,phone\nAnna,1\n"),
    **dict.fromkeys(("mine.onnx", "mine.pt2", "mine.npz"), "mine\n"),
    **dict.fromkeys(("noise.csv", "noise.parquet"), bytes(range(256)) * 20),
    "noise.npy": b"\x93NUMPY" + bytes(range(100, 200)),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A finished run, copies of it with damage, and a file that is nobody's table."""
    root = tmp_path_factory.mktemp("wrong")
    run = RunDirectory(root / "sweep" / "0")
    with initialize_config_dir(CONF):
        config = compose("config", [*TINY_SYNTHETIC, "trainer.max_epochs=1"])
    run.config.parent.mkdir(parents=True)
    OmegaConf.save(config, run.config)
    run.config.with_name("overrides.yaml").write_text(OmegaConf.to_yaml(list(TINY_SYNTHETIC)))
    with run.recording():
        train.train(config, run)
    found = {"run": run.path, "sweep": root / "sweep", "table": root / "table"}
    for name, content in FILES.items():
        found[name] = root / name
        found[name].write_bytes(content if isinstance(content, bytes) else content.encode())
    for name, target in (("link.csv", "mine.csv"), ("link.onnx", "nowhere")):
        found[name] = root / name
        found[name].symlink_to(root / target)
    found["new.csv"], found["pipe.csv"] = root / "new.csv", root / "pipe.csv"
    os.mkfifo(found["pipe.csv"])
    on_table = ("dataset=table", f"dataset.path={root}/good.csv", "dataset.time=time", "dataset.window=10")
    RunDirectory(found["table"]).config.parent.mkdir(parents=True)
    with initialize_config_dir(CONF):
        config = compose("config", [*on_table, "model.hidden_size=3", "trainer.max_epochs=1", "threads=1"])
    OmegaConf.save(config, RunDirectory(found["table"]).config)
    with RunDirectory(found["table"]).recording():
        train.train(config, RunDirectory(found["table"]))
    for kind in DAMAGED:
        found[kind] = shutil.copytree(run.path, root / kind)
        damage(found[kind], kind)
    return found


def tree(root: Path) -> dict[str, tuple[int, int]]:
    """Every file below `root` with its size and the time of its last change."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            status = os.lstat(os.path.join(folder, name))
            found[os.path.join(folder, name)] = (status.st_size, status.st_mtime_ns)
    return found


@pytest.mark.parametrize(
    ("command", "line", "words"),
    [
        pytest.param(*case, id=f"{i}-{case[0]}-{case[1][:40]}", marks=[pytest.mark.soak] if i in LONG else [])
        for i, case in enumerate(CASES)
    ],
)
def test_a_wrong_command_ends_in_a_few_lines(command, line, words, places, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LSTM_AE_ALLOW", raising=False)
    before = tree(places["file"].parent)
    given = shlex.split(re.sub(r"(?<!\$)\{([\w.]+)\}", lambda found: str(places[found[1]]), line))
    given += TINY_SYNTHETIC if line.startswith(TO_THE_MODEL) else ()
    code, said = call(MAINS[command], given, monkeypatch)
    said = said or capsys.readouterr().err  # argparse prints for itself
    assert code != 0
    assert "Traceback" not in said and said.strip(), said
    for word in words.split():
        assert word in said, said
    listed = any(sign in said for sign in ("Available options", "Accepted here", "usage:", "Present:"))
    assert listed or len(said.splitlines()) <= MAX_LINES, said
    assert list(tmp_path.iterdir()) == []
    assert tree(places["file"].parent) == before


def test_there_are_enough_of_them():
    assert len(CASES) - len(LONG) >= 150
    assert len({(command, line) for command, line, _ in CASES}) == len(CASES)
