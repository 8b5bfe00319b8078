//! Several trained networks over one input as one network: the weighted sum of their outputs, so that an ensemble is
//! exported, packaged and served like anything else.

use crate::layers::{Concat, Linear};
use crate::{Architecture, Layer, Network, Node};
use lepton_core::{Error, ErrorCode, Result};

/// One of the networks of a sum.
#[derive(Clone, Copy)]
pub struct Member<'a> {
    /// Its name, unique in the sum; its layers are called `name_layer` there.
    pub name: &'a str,
    /// The network.
    pub network: &'a Network,
    /// What its outputs are multiplied by.
    pub weight: f32,
}

/// The layer that joins the outputs of all members.
const JOINED: &str = "joined";

/// The layer that weighs and adds them.
const WEIGHED: &str = "weighed";

impl Network {
    /// The network that gives the sum over `members` of weight times output, `[outputs]` a row. All take the same input
    /// and give as many numbers.
    ///
    /// # Errors
    /// [`ErrorCode::Shape`] for members that differ in their input or their outputs, or for none.
    pub fn weighted_sum(name: &str, members: &[Member<'_>]) -> Result<Network> {
        let mismatch = |message: &str| Error::new(ErrorCode::Shape, message.to_owned());
        let first = members.first().ok_or_else(|| mismatch("there is no network to add up"))?.network.architecture();
        let [outputs] = first.output_shape()?[..] else {
            return Err(mismatch("only networks that give [outputs] a row are added up"));
        };
        let mut layers = Vec::new();
        let mut ends = Vec::new();
        for member in members {
            let architecture = member.network.architecture();
            if architecture.input != first.input || architecture.output_shape()? != [outputs] {
                return Err(mismatch("the networks take or give different shapes").at_node(member.name));
            }
            let mut before = first.input.name.clone();
            for node in &architecture.layers {
                let renamed = |input: &String| match *input == first.input.name {
                    true => input.clone(),
                    false => prefixed(member.name, input),
                };
                let inputs = match node.inputs.is_empty() {
                    true => vec![before],
                    false => node.inputs.iter().map(renamed).collect(),
                };
                before = prefixed(member.name, &node.name);
                layers.push(Node::with_inputs(&before, node.layer.clone(), inputs));
            }
            ends.push(before);
        }
        // One input is joined with nothing.
        let last = if ends.len() > 1 { JOINED.to_owned() } else { ends[0].clone() };
        if ends.len() > 1 {
            layers.push(Node::with_inputs(JOINED, Layer::from(Concat { axis: 0 }), ends));
        }
        layers.push(Node::with_inputs(WEIGHED, Linear::new(outputs, false).into(), [last]));
        let architecture = Architecture::new(name, first.input.clone(), layers);
        Network::from_values(&architecture, |key| {
            if key.strip_prefix(WEIGHED).is_some_and(|rest| rest == ".weight") {
                let width = members.len() * outputs;
                let mut weights = vec![0.0; outputs * width];
                for (place, member) in members.iter().enumerate() {
                    for output in 0..outputs {
                        weights[output * width + place * outputs + output] = member.weight;
                    }
                }
                return Ok(weights);
            }
            let mut all = members
                .iter()
                .flat_map(|member| member.network.parameters.iter().map(move |parameter| (member.name, parameter)));
            match all.find(|(member, parameter)| prefixed(member, &parameter.spec.name) == key) {
                Some((_, parameter)) => parameter.to_host(),
                None => Err(Error::internal(format!("no member has \"{key}\""))),
            }
        })
    }
}

fn prefixed(member: &str, name: &str) -> String {
    format!("{member}_{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InputSpec;
    use lepton_core::{Limits, Seed, Tensor};

    fn network(units: Option<usize>, outputs: usize, seed: u64) -> Network {
        let mut layers = Vec::new();
        if let Some(units) = units {
            layers.push(Node::new("dense", Layer::linear(units)));
            layers.push(Node::new("tanh", Layer::Tanh));
            layers.push(Node::with_inputs("again", Layer::linear(units), ["dense"]));
            layers.push(Node::with_inputs("sum", Layer::Add, ["tanh", "again"]));
        }
        layers.push(Node::new("scores", Layer::linear(outputs)));
        Network::new(&Architecture::new("net", InputSpec::float32([3]), layers), Seed(seed)).unwrap()
    }

    #[test]
    fn outputs_are_weighed_and_added() {
        let (one, other) = (network(Some(4), 2, 1), network(None, 2, 2));
        let member = |name, network, weight| Member { name, network, weight };
        let sum = Network::weighted_sum("both", &[member("one", &one, 0.25), member("other", &other, 2.0)]).unwrap();
        let rows = Tensor::float32([2, 3], vec![0.5, -1.0, 2.0, 3.0, 0.0, -0.5]).unwrap();
        let values = |network: &Network| network.forward(&rows).unwrap().as_float32().unwrap().to_vec();
        for ((sum, one), other) in values(&sum).iter().zip(values(&one)).zip(values(&other)) {
            assert!((sum - (0.25 * one + 2.0 * other)).abs() < 1e-5);
        }
        assert!(sum.keys().any(|key| key == "one_again.weight"));
        lepton_onnx::decode(&sum.to_onnx().unwrap(), &Limits::default()).unwrap();
        let alone = Network::weighted_sum("alone", &[member("one", &one, 3.0)]).unwrap();
        assert!((values(&alone)[1] - 3.0 * values(&one)[1]).abs() < 1e-5);
    }

    #[test]
    fn members_take_and_give_the_same_shapes() {
        let (one, other) = (network(None, 2, 1), network(None, 3, 2));
        let members =
            [Member { name: "a", network: &one, weight: 1.0 }, Member { name: "b", network: &other, weight: 1.0 }];
        let error = Network::weighted_sum("both", &members).err().unwrap();
        assert_eq!((error.code(), error.place().node.as_deref()), (ErrorCode::Shape, Some("b")));
        assert!(Network::weighted_sum("none", &[]).is_err());
    }
}
