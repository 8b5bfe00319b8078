//! Layers that never learn, computed once: their output over all rows stands in for the rows, and only the layers behind
//! them are trained. What comes out is the network that training the whole would have given.

use super::Start;
use crate::fit::FitJob;
use lepton_core::{Event, Result, Tensor};
use lepton_data::Loader;
use lepton_nn::Network;

/// Rows that are collected before they are cut into batches of like lengths.
const WINDOW_ROWS: usize = 2_048;

/// Rows of one pass through the layers that stay.
const BATCH_ROWS: usize = 32;

/// A network in two parts, of which the first never learns.
pub(crate) struct FixedBody {
    /// How many layers that is.
    pub(crate) layers: usize,
    body: Network,
    /// The layers that learn.
    pub(crate) rest: Network,
}

impl FixedBody {
    /// The part of `start`'s network that gives the same for a row in every step, where there is one that is worth
    /// computing once: rows repeat, and its output over all rows is within `train.transfer.feature_bytes`.
    ///
    /// # Errors
    /// Those of the network.
    pub(crate) fn of(job: &FitJob<'_>, start: &Start, network: &Network) -> Result<Option<FixedBody>> {
        let most = start.settings.feature_bytes;
        let epochs = job.settings.epochs;
        if most == 0 || !job.train.repeats_rows() || !job.valid.repeats_rows() {
            return Ok(None);
        }
        // What stays in the last epoch stayed in all: layers are only ever added to those that learn.
        let Some(layers) = network.fixed_layers(|key| start.rate(key, epochs)) else { return Ok(None) };
        let (body, rest) = network.split(layers)?;
        let rows = job.train.rows() + job.valid.rows();
        let width: usize = rest.architecture().input.shape.iter().product();
        let bytes = (rows as u64).saturating_mul(width as u64).saturating_mul(4);
        let name = body.architecture().layers.last().map_or("", |node| &node.name);
        if bytes > most {
            let text = format!(
                "the layers up to \"{name}\" stay as they are, but run in each step: their output over {rows} rows takes \
                 {bytes} bytes (train.transfer.feature_bytes is {most})"
            );
            job.progress.event(Event::Note { text });
            return Ok(None);
        }
        let text = format!("the layers up to \"{name}\" stay as they are: they run once for each of {rows} rows");
        job.progress.event(Event::Note { text });
        Ok(Some(FixedBody { layers, body, rest }))
    }

    /// The training and the validation rows as the layers that learn take them.
    ///
    /// # Errors
    /// [`lepton_core::ErrorCode::Cancelled`], and what the rows and the network report.
    pub(crate) fn rows(&self, job: &FitJob<'_>) -> Result<[Loader; 2]> {
        let all = (job.train.rows() + job.valid.rows()) as u64;
        let mut done = 0;
        let mut of = |loader: &Loader| -> Result<Loader> {
            let mut advance = |rows: usize| {
                done += rows as u64;
                let what = "computing the layers that stay".to_owned();
                job.progress.event(Event::Advanced { what, done, total: Some(all), unit: "rows" });
            };
            loader.with_inputs(self.features(job, loader, &mut advance)?)
        };
        Ok([of(job.train)?, of(job.valid)?])
    }

    /// The body's output over all rows of a loader, in their order.
    fn features(&self, job: &FitJob<'_>, loader: &Loader, advance: &mut dyn FnMut(usize)) -> Result<Tensor> {
        let (mut window, mut waiting, mut features) = (Vec::new(), 0, Vec::new());
        let mut batches = loader.epoch(0, 0, false).peekable();
        while let Some(batch) = batches.next() {
            job.cancel.check()?;
            let input = batch?.input;
            waiting += input.rows();
            window.push(input);
            if waiting >= WINDOW_ROWS || batches.peek().is_none() {
                let input = Tensor::concat_rows(&window.iter().collect::<Vec<_>>())?;
                features.push(self.body.forward_in_batches(&input, BATCH_ROWS)?);
                advance(waiting);
                window.clear();
                waiting = 0;
            }
        }
        Tensor::concat_rows(&features.iter().collect::<Vec<_>>())
    }
}
