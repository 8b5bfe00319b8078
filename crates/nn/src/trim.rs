//! Leaving out the places at the end of a batch that are padding in every row, so that short texts cost what they are
//! long. It is done only where it cannot change a result: every layer must either look at each place by itself or leave
//! out what is behind the end.

use crate::Layer;
use crate::plan::{Plan, PlannedNode, Source};
use lepton_core::DType;

/// The code of the places that may be left out; `None` where a result could change.
pub(crate) fn padding(plan: &Plan) -> Option<i64> {
    if !plan.free_time || plan.input_dtype != DType::Int64 || plan.nodes.last().is_none_or(|last| last.free_time) {
        return None;
    }
    let mut readers = plan.nodes.iter().filter(|node| node.inputs.contains(&Source::Input)).map(|node| &node.layer);
    let Some(Layer::Embedding(first)) = readers.next() else { return None };
    let code = first.padding?;
    let same = readers.all(|layer| matches!(layer, Layer::Embedding(other) if other.padding == Some(code)));
    (same && plan.nodes.iter().all(|node| is_indifferent(plan, node))).then_some(code as i64)
}

/// Places of a row up to the last that is not `padding`, at least 1.
pub(crate) fn length(row: &[i64], padding: i64) -> usize {
    row.iter().rposition(|&code| code != padding).map_or(1, |place| place + 1)
}

/// How many places of rows of `time` codes are left without the padding that all of them end in, at least 1.
pub(crate) fn places(codes: &[i64], time: usize, padding: i64) -> usize {
    codes.chunks(time.max(1)).map(|row| length(row, padding)).max().unwrap_or(time).max(1)
}

/// Whether the node gives the same at all other places with and without padding behind them.
fn is_indifferent(plan: &Plan, node: &PlannedNode) -> bool {
    let is_sequence = |source: &Source| match source {
        Source::Input => true,
        Source::Node(index) => plan.nodes[*index].free_time,
    };
    if !node.inputs.iter().any(is_sequence) || node.inputs.contains(&Source::Input) {
        return true;
    }
    if node.layer.does().uses_lengths() {
        let mut inputs = node.inputs.iter().zip(&node.lengths);
        return inputs.all(|(source, ends)| !is_sequence(source) || ends.is_some());
    }
    match &node.layer {
        // A window reads zeros behind the end, as it does where there is no padding.
        Layer::Conv1d(_) => {
            let keeps = node.shape.first() == node.input_shape.first();
            keeps && node.inputs.iter().all(|source| is_zero_behind_the_end(plan, *source))
        }
        layer => layer.does().is_local(),
    }
}

/// Whether places behind the end hold zeros: those of an embedding do, and dropout leaves them.
fn is_zero_behind_the_end(plan: &Plan, source: Source) -> bool {
    let Source::Node(index) = source else { return false };
    let node = &plan.nodes[index];
    match &node.layer {
        Layer::Embedding(embedding) => embedding.padding.is_some(),
        Layer::Dropout(_) | Layer::Relu => node.inputs.iter().all(|source| is_zero_behind_the_end(plan, *source)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Architecture, Conv1d, Embedding, InputSpec, Lstm, MaxPool1d, Network, Node, PositionKind, Positions,
        TimePadding, TransformerEncoder,
    };
    use lepton_core::{Seed, Tensor};

    fn architecture(free_length: bool, padding: Option<usize>, layers: Vec<Layer>) -> Architecture {
        let codes: Layer = Embedding { vocabulary: 9, dimensions: 4, padding }.into();
        let layers = std::iter::once(codes).chain(layers).map(|layer| Node::new("", layer)).collect();
        Architecture::new("net", InputSpec::codes(8, free_length), layers)
    }

    fn trims(free_length: bool, padding: Option<usize>, layers: Vec<Layer>) -> bool {
        super::padding(&architecture(free_length, padding, layers).plan().unwrap()).is_some()
    }

    fn encoder() -> Layer {
        let json = r#"{ "kind": "transformer_encoder", "heads": 2, "feed_forward": 8 }"#;
        serde_json::from_str::<TransformerEncoder>(json).unwrap().into()
    }

    #[test]
    fn only_what_cannot_notice_is_trimmed() {
        let pooled = |layer: Layer| vec![layer, Layer::GlobalAvgPool];
        assert!(trims(true, Some(0), pooled(Lstm::new(3).into())));
        assert!(trims(true, Some(0), pooled(encoder())));
        assert!(trims(true, Some(2), pooled(Conv1d::same(3, 3).into())));
        assert!(trims(true, Some(0), vec![Layer::dropout(0.1), Conv1d::same(3, 4).into(), Layer::GlobalMaxPool]));
        // Not without a free length, not without padding.
        assert!(!trims(false, Some(0), pooled(Lstm::new(3).into())));
        assert!(!trims(true, None, pooled(Lstm::new(3).into())));
        // A second convolution reads the bias of the first behind the end; a shorter sequence has no known end.
        assert!(!trims(
            true,
            Some(0),
            vec![Conv1d::same(3, 3).into(), Conv1d::same(3, 3).into(), Layer::GlobalMaxPool]
        ));
        let valid = Conv1d { padding: TimePadding::Valid, ..Conv1d::same(3, 3) };
        assert!(!trims(true, Some(0), pooled(valid.into())));
        let pool = MaxPool1d { kernel: 3, stride: Some(1), padding: TimePadding::Same };
        assert!(!trims(true, Some(0), pooled(pool.into())));
        assert!(!trims(true, Some(0), pooled(Layer::batch_norm())));
    }

    #[test]
    fn outputs_are_those_of_the_whole_batch() {
        let positions: Layer = Positions { encoding: PositionKind::Learned }.into();
        for layers in [
            vec![positions, encoder(), Layer::GlobalAvgPool],
            vec![Lstm { bidirectional: true, ..Lstm::new(3) }.into(), Layer::LastStep],
            vec![Conv1d::same(3, 4).into(), Layer::GlobalMaxPool],
        ] {
            let network = Network::new(&architecture(true, Some(0), layers), Seed(3)).unwrap();
            let mut whole = network.clone();
            whole.plan.trims = None;
            let codes = [3, 0, 5, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0];
            let input = Tensor::int64([2, 8], codes.to_vec()).unwrap();
            let (trimmed, untrimmed) = (network.forward(&input).unwrap(), whole.forward(&input).unwrap());
            let pairs = trimmed.as_float32().unwrap().iter().zip(untrimmed.as_float32().unwrap());
            assert!(pairs.map(|(one, other)| (one - other).abs()).fold(0.0, f32::max) < 1e-5);
        }
    }

    #[test]
    fn the_longest_row_says_what_is_left() {
        assert_eq!(places(&[3, 0, 5, 0, 1, 0, 0, 0], 4, 0), 3);
        assert_eq!(places(&[0, 0, 0, 0], 2, 0), 1);
        assert_eq!(places(&[0, 7], 2, 0), 2);
    }
}
