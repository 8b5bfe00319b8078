//! Gradients of large dense layers that wait for the end of the way back. Where all others are finite then, and these are sure
//! to be, the optimiser's step is taken while they are computed, and they never go to memory.

use super::Planned;
use super::memory::{Buffer, release};
use lepton_kernels::{Linear, Rule, squares};
use std::ops::Range;

/// A dense layer whose weights have no gradient yet.
pub(super) struct Late {
    pub(super) sizes: Linear,
    /// The value that it took, which is kept.
    pub(super) x: usize,
    pub(super) weight: usize,
    pub(super) dy: Buffer,
}

impl Planned {
    /// Computes those gradients of which it is not sure that they are finite.
    pub(super) fn compute_doubtful(&mut self) {
        let Planned { workers, late, ranges, gradients, buffers, .. } = self;
        let values = &buffers.values;
        late.retain(|Late { sizes, x, weight, dy }| {
            // Of two vectors whose squares add up to these, no sum of products is larger (Cauchy and Schwarz).
            let most = (squares(workers, &values[*x]).0 * squares(workers, dy).0).sqrt();
            let is_sure = most < f64::from(f32::MAX) / 2.0;
            if !is_sure {
                sizes.backward_weights(workers, &values[*x], dy, &mut gradients[ranges[*weight].clone()], None);
            }
            is_sure
        });
    }

    /// The sum of the squares of the gradients that there are, and whether all are finite.
    pub(super) fn squares(&self) -> (f64, bool) {
        let found = self.computed().into_iter().map(|range| squares(&self.workers, &self.gradients[range]));
        found.fold((0.0, true), |(sum, all), (own, finite)| (sum + own, all && finite))
    }

    /// One step of the optimiser.
    pub(super) fn update(&mut self, rule: &Rule) {
        for own in self.computed() {
            let mut moments = pieces(&mut self.moments, &own);
            rule.update(&self.workers, &mut self.arena[own.clone()], &self.gradients[own], &mut moments);
        }
        let Planned { workers, late, ranges, arena, moments, buffers, .. } = self;
        for Late { sizes, x, weight, dy } in &*late {
            let own = ranges[*weight].clone();
            let mut moments = pieces(moments, &own);
            sizes.update_weights(workers, &buffers.values[*x], dy, rule, &mut arena[own], &mut moments);
        }
        late.drain(..).for_each(|mut late| release(&mut buffers.free, &mut late.dy));
    }

    /// The parts of the arena whose gradients are computed.
    pub(super) fn computed(&self) -> Vec<Range<usize>> {
        let mut waiting: Vec<&Range<usize>> = self.late.iter().map(|late| &self.ranges[late.weight]).collect();
        waiting.sort_by_key(|range| range.start);
        let starts = [0].into_iter().chain(waiting.iter().map(|range| range.end.next_multiple_of(super::ALIGNED)));
        let ends = waiting.iter().map(|range| range.start).chain([self.trained]);
        starts.zip(ends).map(|(start, end)| start..end).filter(|range| !range.is_empty()).collect()
    }
}

/// A part of each buffer.
fn pieces<'a>(buffers: &'a mut [Vec<f32>], own: &Range<usize>) -> Vec<&'a mut [f32]> {
    buffers.iter_mut().map(|buffer| &mut buffer[own.clone()]).collect()
}
