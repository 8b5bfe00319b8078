//! Where the numbers of an ONNX value are in ours. An ONNX value has its axes in any order, and the batch may be any of
//! them; one of our values has the batch first and a row behind it. Both are made of the same sides, so that most of
//! ONNX's Transpose, Reshape, Squeeze and Unsqueeze is a change of names and becomes no layer.

use std::collections::VecDeque;

/// More axes than any value needs.
const MOST_AXES: usize = 8;

/// A side that numbers run along. Sides of length 1 are left out everywhere, the batch excepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Side {
    id: u32,
    /// Its length; of the batch 0 where it is free.
    pub(super) length: usize,
    /// Whether it is a time of any length; `length` is then the one of training.
    pub(super) free: bool,
}

impl Side {
    pub(super) fn is_batch(self) -> bool {
        self.id == 0
    }
}

/// A side of a shape that is computed in the graph or given for a Reshape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Known(i64),
    Batch,
    Time,
    Unknown,
}

/// Where an axis of a new value comes from.
#[derive(Clone, Copy)]
pub(super) enum Axis {
    Batch,
    /// The side at that place of the layer's output.
    Side(usize),
}

/// An ONNX value that a layer of ours gives.
#[derive(Clone, Debug)]
pub(super) struct Activation {
    /// The layer's name.
    pub(super) layer: String,
    /// The shape of one row of its output.
    pub(super) row: Vec<usize>,
    /// The sides of a row in memory's order.
    pub(super) stored: Vec<Side>,
    /// For each ONNX axis its sides, slowest first; empty for an axis of length 1.
    pub(super) axes: Vec<Vec<Side>>,
    /// Whether it holds codes, which only an embedding takes.
    pub(super) codes: bool,
}

/// The product of lengths.
pub(super) fn size(group: &[Side]) -> usize {
    group.iter().fold(1, |product: usize, side| product.saturating_mul(side.length))
}

impl Activation {
    /// What a layer gives: the lengths of its sides in memory's order, and which axes ONNX sees. `batch` is the batch's
    /// length where the file fixes one; the first side is free where `free` says so.
    pub(super) fn new(
        (layer, row): (String, Vec<usize>),
        sides: &[usize],
        axes: &[Axis],
        batch: usize,
        free: bool,
    ) -> Activation {
        let side = |place: usize| Side { id: place as u32 + 1, length: sides[place], free: free && place == 0 };
        let kept = |place: &usize| sides[*place] != 1 || side(*place).free;
        let axes = axes
            .iter()
            .map(|axis| match *axis {
                Axis::Batch => vec![Side { id: 0, length: batch, free: false }],
                Axis::Side(place) => Some(place).filter(kept).map(side).into_iter().collect(),
            })
            .collect();
        let stored = (0..sides.len()).filter(kept).map(side).collect();
        Activation { layer, row, stored, axes, codes: false }
    }

    /// The batch's length, 0 where it is free.
    pub(super) fn batch(&self) -> usize {
        self.axes.iter().flatten().find(|side| side.is_batch()).map_or(0, |side| side.length)
    }

    /// Whether a row has a time of any length.
    pub(super) fn is_free(&self) -> bool {
        self.stored.iter().any(|side| side.free)
    }

    /// The place of the axis that is the batch and nothing else.
    pub(super) fn batch_axis(&self) -> Option<usize> {
        self.axes.iter().position(|axis| matches!(axis[..], [side] if side.is_batch()))
    }

    /// The place of an ONNX axis, which may count from the end.
    pub(super) fn axis(&self, axis: i64) -> Result<usize, String> {
        place(axis, self.axes.len())
    }

    /// The sides of all axes but `without` and the batch, in ONNX's order.
    pub(super) fn others(&self, without: &[usize]) -> Vec<Side> {
        let axes = self.axes.iter().enumerate().filter(|(place, _)| !without.contains(place));
        axes.flat_map(|(_, axis)| axis).copied().filter(|side| !side.is_batch()).collect()
    }

    /// The lengths that ONNX's Shape gives.
    pub(super) fn lengths(&self) -> Vec<Length> {
        self.axes
            .iter()
            .map(|axis| match axis[..] {
                [side] if side.is_batch() => Length::Batch,
                [side] if side.free => Length::Time,
                _ if axis.iter().any(|side| side.is_batch() || side.free) => Length::Unknown,
                _ => Length::Known(size(axis) as i64),
            })
            .collect()
    }

    /// For each axis the places of its sides in memory and their lengths, to tell whether two values lie alike.
    pub(super) fn layout(&self) -> Vec<Vec<(Option<usize>, usize)>> {
        let place = |side: &Side| (self.stored.iter().position(|other| other.id == side.id), side.length);
        self.axes.iter().map(|axis| axis.iter().map(place).collect()).collect()
    }

    pub(super) fn transpose(mut self, order: &[usize]) -> Result<Activation, String> {
        let mut seen = vec![false; self.axes.len()];
        for &from in order {
            if from >= seen.len() || std::mem::replace(&mut seen[from], true) {
                return Err(format!("{order:?} is no order of {} axes", self.axes.len()));
            }
        }
        if order.len() != self.axes.len() {
            return Err(format!("{order:?} is no order of {} axes", self.axes.len()));
        }
        self.axes = order.iter().map(|&from| self.axes[from].clone()).collect();
        Ok(self)
    }

    /// Takes axes of length 1 out; all of them where none are named.
    pub(super) fn squeeze(mut self, axes: Option<&[i64]>) -> Result<Activation, String> {
        let named = match axes {
            Some(axes) => axes.iter().map(|&axis| self.axis(axis)).collect::<Result<Vec<_>, _>>()?,
            None if self.batch() == 1 => return Err("it would take a batch of one row out".to_owned()),
            None => (0..self.axes.len()).filter(|&place| self.axes[place].is_empty()).collect(),
        };
        if let Some(&place) = named.iter().find(|&&place| !self.axes[place].is_empty()) {
            return Err(format!("axis {place} is the batch or longer than 1"));
        }
        let mut place = 0;
        self.axes.retain(|_| {
            place += 1;
            !named.contains(&(place - 1))
        });
        Ok(self)
    }

    /// Puts axes of length 1 in.
    pub(super) fn unsqueeze(mut self, axes: &[i64]) -> Result<Activation, String> {
        let rank = self.axes.len() + axes.len();
        if rank > MOST_AXES {
            return Err(format!("{rank} axes (at most {MOST_AXES})"));
        }
        let mut places = axes.iter().map(|&axis| place(axis, rank)).collect::<Result<Vec<_>, _>>()?;
        places.sort_unstable();
        places.dedup();
        for &place in &places {
            if place > self.axes.len() {
                return Err(format!("axes {axes:?} of {rank}"));
            }
            self.axes.insert(place, Vec::new());
        }
        Ok(self)
    }

    /// The same numbers under other axes, ONNX's Reshape: 0 is the axis at the same place, -1 what is left.
    pub(super) fn reshape(mut self, target: &[Length]) -> Result<Activation, String> {
        if target.len() > MOST_AXES {
            return Err(format!("{} axes (at most {MOST_AXES})", target.len()));
        }
        let lengths = self.lengths();
        let mut wanted = Vec::with_capacity(target.len());
        for (place, &length) in target.iter().enumerate() {
            wanted.push(match length {
                Length::Known(0) => *lengths.get(place).ok_or_else(|| format!("there is no axis {place} to copy"))?,
                other => other,
            });
        }
        let mut rest: VecDeque<Side> = self.axes.iter().flatten().copied().collect();
        let rest_at = wanted.iter().position(|length| *length == Length::Known(-1));
        let (front, back) = match rest_at {
            Some(at) => (&wanted[..at], &wanted[at + 1..]),
            None => (&wanted[..], &[][..]),
        };
        let mut axes = Vec::with_capacity(wanted.len());
        for &length in front {
            axes.push(self.take(&mut rest, length, false)?);
        }
        let mut behind = Vec::with_capacity(back.len());
        for &length in back.iter().rev() {
            behind.push(self.take(&mut rest, length, true)?);
        }
        if rest_at.is_some() {
            axes.push(rest.drain(..).collect());
        } else if rest.iter().any(|side| side.length != 1) {
            return Err("the shapes do not have the same number of elements".to_owned());
        }
        axes.extend(behind.into_iter().rev());
        self.axes = axes;
        Ok(self)
    }

    /// Sides of that length together from the front or the back, one of them cut where it has to be.
    fn take(&mut self, rest: &mut VecDeque<Side>, length: Length, back: bool) -> Result<Vec<Side>, String> {
        let (mut axis, mut left) = (
            VecDeque::new(),
            match length {
                Length::Known(length) => usize::try_from(length).map_err(|_| format!("a side of {length}"))?,
                Length::Batch | Length::Time => 0,
                Length::Unknown => return Err("a side depends on the batch and something else".to_owned()),
            },
        );
        let next = |rest: &VecDeque<Side>| if back { rest.back().copied() } else { rest.front().copied() };
        let drop_next = |rest: &mut VecDeque<Side>| if back { rest.pop_back() } else { rest.pop_front() };
        if matches!(length, Length::Batch | Length::Time) {
            let side = next(rest).filter(|side| if length == Length::Batch { side.is_batch() } else { side.free });
            drop_next(rest);
            return side
                .map(|side| vec![side])
                .ok_or_else(|| "it mixes the batch or the time with other sides".to_owned());
        }
        if left == 1 && next(rest).is_some_and(|side| side.is_batch() && side.length == 1) {
            return Ok(drop_next(rest).into_iter().collect());
        }
        while left != 1 {
            let side = next(rest).ok_or("the shapes do not have the same number of elements")?;
            if side.free || side.length == 0 {
                return Err("a number stands where the batch or the time is free".to_owned());
            }
            drop_next(rest);
            let mut taken = side;
            if !left.is_multiple_of(side.length) {
                if !side.length.is_multiple_of(left) || left == 0 || side.is_batch() {
                    return Err(format!("a side of {} cannot be cut for one of {left}", side.length));
                }
                let remains;
                (taken, remains) = self.cut(side, left, back);
                if back { rest.push_back(remains) } else { rest.push_front(remains) }
            }
            left /= taken.length;
            if back { axis.push_front(taken) } else { axis.push_back(taken) }
        }
        Ok(axis.into())
    }

    /// Cuts a side in two, of which the one at that end has `length`; gives it and the other.
    fn cut(&mut self, side: Side, length: usize, back: bool) -> (Side, Side) {
        let new = self.stored.iter().map(|side| side.id).max().unwrap_or(0) + 1;
        let taken = Side { id: new, length, free: false };
        let remains = Side { id: new + 1, length: side.length / length, free: false };
        let parts = if back { [remains, taken] } else { [taken, remains] };
        if let Some(place) = self.stored.iter().position(|other| other.id == side.id) {
            self.stored.splice(place..=place, parts);
        }
        (taken, remains)
    }

    /// The same value with one side at the end of each row replaced by another of `length`, along `axis`, given by a
    /// layer whose output is `[.., length]`.
    pub(super) fn with_last(mut self, (layer, row): (String, Vec<usize>), axis: usize, length: usize) -> Activation {
        let id = self.stored.iter().map(|side| side.id).max().unwrap_or(0) + 1;
        let new = Some(Side { id, length, free: false }).filter(|side| side.length != 1);
        let old = std::mem::replace(&mut self.axes[axis], new.into_iter().collect());
        self.stored.retain(|side| !old.contains(side));
        self.stored.extend(new);
        Activation { layer, row, ..self }
    }

    /// The same value with the side at the beginning of each row, which is that of `axis`, replaced by one of `length`.
    pub(super) fn with_first(mut self, (layer, row): (String, Vec<usize>), axis: usize, length: usize) -> Activation {
        let id = self.stored.iter().map(|side| side.id).max().unwrap_or(0) + 1;
        let new = Some(Side { id, length, free: false }).filter(|side| side.length != 1);
        let old = std::mem::replace(&mut self.axes[axis], new.into_iter().collect());
        self.stored.retain(|side| !old.contains(side));
        self.stored.splice(0..0, new);
        Activation { layer, row, ..self }
    }

    /// The same value with another length of one axis, where a row has the axes of `order` as its sides.
    pub(super) fn with_group(
        mut self,
        (layer, row): (String, Vec<usize>),
        order: &[usize],
        axis: usize,
        length: usize,
    ) -> Activation {
        let id = self.stored.iter().map(|side| side.id).max().unwrap_or(0) + 1;
        let new = Some(Side { id, length, free: false }).filter(|side| side.length != 1);
        self.axes[axis] = new.into_iter().collect();
        self.stored = order.iter().flat_map(|&axis| self.axes[axis].iter().copied()).collect();
        Activation { layer, row, ..self }
    }
}

fn place(axis: i64, count: usize) -> Result<usize, String> {
    let place = if axis < 0 { axis.checked_add(count as i64) } else { Some(axis) };
    place
        .and_then(|place| usize::try_from(place).ok())
        .filter(|place| *place < count)
        .ok_or_else(|| format!("there is no axis {axis} of {count}"))
}
