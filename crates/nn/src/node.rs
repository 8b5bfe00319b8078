//! A named layer in a graph, and how it is read: every unknown kind or setting is an error that names the nearest
//! known one.

use crate::Layer;
use lepton_core::nearest;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// A layer with its name and where its inputs come from. In files the layer's settings stand beside the name:
/// `{"name": "c1", "kind": "conv2d", "out_channels": 32, "kernel": 3}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Unique in the Architecture; empty in a file means "number it for me".
    pub name: String,
    /// What it does.
    pub layer: Layer,
    /// Names of earlier nodes (or of the input); empty means the node just before.
    pub inputs: Vec<String>,
}

impl Node {
    /// A node that takes what the one before it gives.
    pub fn new(name: impl Into<String>, layer: Layer) -> Node {
        Node { name: name.into(), layer, inputs: Vec::new() }
    }

    /// A node that takes what the named nodes give.
    pub fn with_inputs<I>(name: impl Into<String>, layer: Layer, inputs: I) -> Node
    where
        I: IntoIterator<Item: Into<String>>,
    {
        Node { name: name.into(), layer, inputs: inputs.into_iter().map(Into::into).collect() }
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Value::Object(mut fields) = serde_json::to_value(&self.layer).map_err(S::Error::custom)? else {
            return Err(S::Error::custom("a layer is not an object"));
        };
        fields.insert("name".to_owned(), Value::from(self.name.as_str()));
        if !self.inputs.is_empty() {
            fields.insert("inputs".to_owned(), Value::from(self.inputs.clone()));
        }
        fields.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        let mut fields = Map::deserialize(deserializer)?;
        let name = match fields.remove("name") {
            None => String::new(),
            Some(Value::String(name)) => name,
            Some(other) => return Err(D::Error::custom(format!("a layer's name is a text, not {other}"))),
        };
        let at = if name.is_empty() { "a layer".to_owned() } else { format!("layer \"{name}\"") };
        let inputs = match fields.remove("inputs") {
            None => Vec::new(),
            Some(inputs) => serde_json::from_value(inputs)
                .map_err(|_| D::Error::custom(format!("{at}: inputs is a list of layer names")))?,
        };
        let Some(Value::String(kind)) = fields.get("kind") else {
            return Err(D::Error::custom(format!("{at} has no kind; {}", all_kinds())));
        };
        let Some((kind, settings)) = Layer::KINDS.iter().find(|(known, _)| known == kind) else {
            let help = match nearest(kind, Layer::KINDS.iter().map(|(known, _)| *known)) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => all_kinds(),
            };
            return Err(D::Error::custom(format!("{at}: unknown kind \"{kind}\"; {help}")));
        };
        if let Some(key) = fields.keys().find(|key| *key != "kind" && !settings.contains(&key.as_str())) {
            let help = match nearest(key, settings.iter().copied()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None if settings.is_empty() => "it has no settings".to_owned(),
                None => format!("its settings are: {}", settings.join(", ")),
            };
            return Err(D::Error::custom(format!("{at}: {kind} has no setting \"{key}\"; {help}")));
        }
        let layer = serde_json::from_value(Value::Object(fields))
            .map_err(|source| D::Error::custom(format!("{at} ({kind}): {source}")))?;
        Ok(Node { name, layer, inputs })
    }
}

fn all_kinds() -> String {
    let kinds: Vec<_> = Layer::KINDS.iter().map(|(kind, _)| *kind).collect();
    format!("the kinds are: {}", kinds.join(", "))
}
