//! A trainer's state as bytes, and back. Everything is read and checked before anything is replaced.

use crate::Trainer;
use crate::network::flat;
use crate::weights::{Reader, Writer};
use lepton_core::{Digest, Error, ErrorCode, Result, Seed};
use serde::{Deserialize, Serialize};

const FORMAT: u32 = 4;
const ABOUT: &str = "about";

/// What a state belongs to, and its counters.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    format: u32,
    architecture: Digest,
    loss: crate::Loss,
    optimizer: crate::OptimizerSettings,
    update: crate::UpdateSettings,
    seed: Seed,
    steps: u64,
    /// Whether steps were planned ones: the two ways agree to rounding, not to the bit.
    planned: bool,
    /// The precision of their products.
    precision: crate::Precision,
}

pub(crate) fn save(trainer: &Trainer) -> Result<Vec<u8>> {
    let about = About {
        format: FORMAT,
        architecture: trainer.network.architecture.digest()?,
        loss: trainer.loss.clone(),
        optimizer: trainer.settings.clone(),
        update: trainer.update.clone(),
        seed: trainer.network.seed,
        steps: trainer.steps,
        planned: trainer.planned.is_some(),
        precision: precision(trainer),
    };
    let mut writer = Writer::default();
    writer.bytes(
        ABOUT,
        serde_json::to_vec(&about).map_err(|source| Error::internal(format!("saving a state: {source}")))?,
    );
    let network = trainer.network();
    let planned = trainer.planned.as_ref();
    let planned = planned.map(|planned| (planned.moments(), planned.pending(), planned.averages()));
    let (moments, pending, averages) = match &planned {
        Some((moments, pending, averages)) => (moments, pending, averages),
        None => (&trainer.moments, &trainer.pending, &trainer.averages),
    };
    for (parameter, moments) in network.parameters.iter().zip(moments) {
        let (name, shape) = (&parameter.spec.name, &parameter.spec.shape);
        writer.float32(format!("network/{name}"), shape, &parameter.to_host()?);
        for (buffer, values) in trainer.settings.buffers().iter().zip(moments) {
            writer.float32(format!("{buffer}/{name}"), shape, values);
        }
    }
    for (part, buffers) in [("pending", pending), ("average", averages)] {
        for (parameter, values) in network.parameters.iter().zip(buffers) {
            writer.float32(format!("{part}/{}", parameter.spec.name), &parameter.spec.shape, values);
        }
    }
    writer.finish()
}

fn precision(trainer: &Trainer) -> crate::Precision {
    trainer.planned.as_ref().map_or(crate::Precision::Float32, |planned| planned.precision())
}

pub(crate) fn restore(trainer: &mut Trainer, bytes: &[u8]) -> Result<()> {
    let reader = Reader::open(bytes)?;
    let about: About = serde_json::from_slice(reader.bytes(ABOUT)?).map_err(|source| {
        Error::new(ErrorCode::BadData, format!("not a training state: {source}")).caused_by(source)
    })?;
    let other = |what: &str| {
        Err(Error::new(ErrorCode::Config, format!("this training state belongs to another {what}"))
            .fix("start the training afresh, or go back to the settings that it was saved with"))
    };
    if about.format != FORMAT {
        return other("version of Lepton");
    }
    if about.architecture != trainer.network.architecture.digest()? {
        return other("architecture");
    }
    if about.loss != trainer.loss {
        return other("loss");
    }
    if about.optimizer != trainer.settings || about.update != trainer.update {
        return other("optimizer");
    }
    if about.planned != trainer.planned.is_some() {
        return other("way to compute steps (train.step)");
    }
    if about.precision != precision(trainer) {
        return other("precision (train.precision)");
    }
    let (mut values, mut moments) = (Vec::new(), Vec::new());
    for parameter in &trainer.network.parameters {
        let (name, shape) = (&parameter.spec.name, &parameter.spec.shape);
        values.push(reader.float32(&format!("network/{name}"), shape)?);
        let buffers = if parameter.spec.trained { trainer.settings.buffers() } else { &[] };
        let read = |buffer: &&str| reader.float32(&format!("{buffer}/{name}"), shape);
        moments.push(buffers.iter().map(read).collect::<Result<Vec<_>>>()?);
    }
    let more = |part: &str, is_kept: bool| -> Result<Vec<Vec<f32>>> {
        let parameters = trainer.network.parameters.iter().filter(|_| is_kept).map(|parameter| &parameter.spec);
        parameters.map(|spec| reader.float32(&format!("{part}/{}", spec.name), &spec.shape)).collect()
    };
    let pending = more("pending", trainer.update.accumulate > 1)?;
    let averages = more("average", trainer.update.average.is_some())?;
    (trainer.network.seed, trainer.steps) = (about.seed, about.steps);
    if let Some(planned) = &mut trainer.planned {
        planned.restore(&values, &moments, &pending, &averages);
        return Ok(());
    }
    (trainer.pending, trainer.averages) = (pending, averages);
    for (parameter, values) in trainer.network.parameters.iter_mut().zip(values) {
        parameter.value = flat(values);
    }
    trainer.moments = moments;
    Ok(())
}
