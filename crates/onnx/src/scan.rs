//! A walk over the wire bytes of a model before anything is allocated for it.
//!
//! Two bytes of protobuf can decode into a message of several hundred, so counting after decoding is too
//! late. This walk allocates nothing: it counts nodes, messages and the nesting of graphs and stops at the
//! first limit that is passed.

use lepton_core::{Error, ErrorCode, Limits, Result};

/// Length-delimited fields (messages, strings, packed numbers) allowed per node that is allowed.
const FIELDS_PER_NODE: usize = 16;

/// The messages that can hold many others. What is not listed here is counted where it stands and not entered.
#[derive(Clone, Copy, PartialEq)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    SparseTensor,
    ValueInfo,
    Type,
    TypeOfTensor,
    TypeWrapper,
    Shape,
    Function,
    Training,
    Annotation,
}

/// The message that field `tag` of `message` holds, where it is one that must be entered.
fn child(message: Message, tag: u64) -> Option<Message> {
    use Message::*;
    Some(match (message, tag) {
        (Model, 7) => Graph,
        (Model, 20) => Training,
        (Model, 25) => Function,
        (Graph, 1) | (Function, 7) => Node,
        (Graph, 5) | (Attribute, 5 | 10) | (SparseTensor, 1 | 2) => Tensor,
        (Graph, 15) | (Attribute, 22 | 23) => SparseTensor,
        (Graph, 11..=13) | (Function, 12) => ValueInfo,
        (Graph, 14) => Annotation,
        (Node, 5) | (Function, 11) => Attribute,
        (Attribute, 6 | 11) | (Training, 1 | 2) => Graph,
        (Attribute, 14 | 15) | (ValueInfo, 2) | (TypeWrapper, 1 | 2) => Type,
        (Type, 1 | 8) => TypeOfTensor,
        (Type, 4 | 5 | 9) => TypeWrapper,
        (TypeOfTensor, 2) => Shape,
        _ => return None,
    })
}

struct Scan<'a> {
    limits: &'a Limits,
    nodes: usize,
    fields: usize,
}

/// Checks the limits `graph_nodes` and `graph_nesting` on undecoded bytes.
pub(crate) fn check(bytes: &[u8], limits: &Limits) -> Result<()> {
    // Types nest without graphs; the decoder's own limit of 100 messages is the bound for those.
    Scan { limits, nodes: 0, fields: 0 }.enter(bytes, Message::Model, 0, 0)
}

impl Scan<'_> {
    fn enter(&mut self, mut bytes: &[u8], message: Message, graphs: usize, depth: usize) -> Result<()> {
        let graphs = graphs + usize::from(message == Message::Graph);
        // The outermost graph is not nested, hence the +1.
        if graphs > self.limits.graph_nesting.saturating_add(1) || depth > 100 {
            return Err(too_large("graph_nesting", self.limits.graph_nesting, "graphs inside graphs"));
        }
        self.nodes += usize::from(message == Message::Node);
        if self.nodes > self.limits.graph_nodes {
            return Err(too_large("graph_nodes", self.limits.graph_nodes, "nodes"));
        }
        while !bytes.is_empty() {
            let key = varint(&mut bytes)?;
            match key & 7 {
                0 => drop(varint(&mut bytes)?),
                1 => drop(take(&mut bytes, 8)?),
                2 => {
                    let length = varint(&mut bytes)?;
                    let body = take(&mut bytes, length)?;
                    self.fields += 1;
                    if self.fields > self.limits.graph_nodes.saturating_mul(FIELDS_PER_NODE) {
                        return Err(too_large("graph_nodes", self.limits.graph_nodes, "fields for so few nodes"));
                    }
                    if let Some(child) = child(message, key >> 3) {
                        self.enter(body, child, graphs, depth + 1)?;
                    }
                }
                5 => drop(take(&mut bytes, 4)?),
                other => return Err(malformed(format!("wire type {other} is not used by ONNX"))),
            }
        }
        Ok(())
    }
}

fn varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0u64;
    for index in 0..10 {
        let Some((&byte, rest)) = bytes.split_first() else { break };
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * index).min(63);
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(malformed("a number is cut off".to_owned()))
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Result<&'a [u8]> {
    let cut = usize::try_from(length).ok().and_then(|length| bytes.split_at_checked(length));
    let Some((body, rest)) = cut else {
        return Err(malformed(format!("a field claims {length} bytes where {} are left", bytes.len())));
    };
    *bytes = rest;
    Ok(body)
}

pub(crate) fn malformed(detail: String) -> Error {
    Error::new(ErrorCode::BadData, format!("not an ONNX model: {detail}"))
}

fn too_large(setting: &str, limit: usize, what: &str) -> Error {
    Error::new(ErrorCode::TooLarge, format!("the model has too many {what} (limit {setting} = {limit})"))
        .fix(format!("raise the limit {setting} if you trust this file"))
}
