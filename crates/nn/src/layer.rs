//! The kinds of layers and their settings, as they stand in `lepton.toml` and `architecture.json`.
//!
//! What a layer does to shapes is in `shape`, what it computes in `compute`, what it becomes in ONNX in `export`.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One layer. Shapes below leave out the batch, which always comes first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Layer {
    /// A 2-D convolution: `[channels, height, width]` to `[out_channels, height', width']`.
    Conv2d {
        /// Channels out.
        out_channels: usize,
        /// Height and width of the window; one number means a square.
        #[serde(deserialize_with = "pair")]
        kernel: [usize; 2],
        /// Steps of the window.
        #[serde(default = "ones", deserialize_with = "pair")]
        stride: [usize; 2],
        /// Zeros around the picture.
        #[serde(default)]
        padding: Padding,
        /// Distance between the window's points.
        #[serde(default = "ones", deserialize_with = "pair")]
        dilation: [usize; 2],
        /// Independent groups of channels; both channel counts are multiples of it.
        #[serde(default = "one")]
        groups: usize,
        /// Whether a bias is added; off in front of a batch norm.
        #[serde(default = "yes")]
        bias: bool,
    },
    /// Batch normalisation over the first side: `[channels]` or `[channels, height, width]`.
    /// (Ioffe and Szegedy 2015; running statistics as PyTorch keeps them, with the unbiased variance.)
    BatchNorm {
        /// Weight of the newest batch in the running statistics.
        #[serde(default = "tenth")]
        momentum: f64,
        /// Added to the variance.
        #[serde(default = "small")]
        epsilon: f64,
    },
    /// The largest value of each window.
    MaxPool2d {
        /// Height and width of the window.
        #[serde(deserialize_with = "pair")]
        kernel: [usize; 2],
        /// Steps of the window; the window itself when not given.
        #[serde(default, deserialize_with = "optional_pair", skip_serializing_if = "Option::is_none")]
        stride: Option<[usize; 2]>,
        /// Cells around the picture that never win.
        #[serde(default)]
        padding: Padding,
    },
    /// The mean of each window; padded cells are not counted.
    AvgPool2d {
        /// Height and width of the window.
        #[serde(deserialize_with = "pair")]
        kernel: [usize; 2],
        /// Steps of the window; the window itself when not given.
        #[serde(default, deserialize_with = "optional_pair", skip_serializing_if = "Option::is_none")]
        stride: Option<[usize; 2]>,
        /// Cells around the picture that are not counted.
        #[serde(default)]
        padding: Padding,
    },
    /// The mean of each channel: `[channels, height, width]` to `[channels]`.
    GlobalAvgPool,
    /// Any shape to one side, row-major.
    Flatten,
    /// A dense layer over the last side.
    Linear {
        /// Features out.
        units: usize,
        /// Whether a bias is added.
        #[serde(default = "yes")]
        bias: bool,
    },
    /// max(x, 0).
    Relu,
    /// x times the normal distribution function of x, exact (erf).
    Gelu,
    /// 1 / (1 + exp(-x)).
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// Zeroes each value with probability `p` in training and scales the others by 1 / (1 - p); nothing in
    /// inference.
    Dropout {
        /// The probability, in [0, 1).
        p: f64,
    },
    /// The sum of two or more inputs of one shape: what closes a residual branch.
    Add,
    /// Joins two or more inputs along the first side.
    Concat,
    /// Columns `from..to` of a table row: `[columns]` to `[to - from]`. With [`Layer::Embedding`] behind it,
    /// category codes of a table become vectors.
    Columns {
        /// The first column.
        from: usize,
        /// One past the last column.
        to: usize,
    },
    /// A vector for each code: `[n]` to `[n, dimensions]`. Codes are int64, or float32 with whole numbers (a
    /// table's category columns), from 0 up to and without `vocabulary`; anything else is an error.
    Embedding {
        /// How many codes there are.
        vocabulary: usize,
        /// Length of each vector.
        dimensions: usize,
    },
    /// Probabilities over the last side.
    Softmax,
}

impl Layer {
    /// Every kind and its settings. The two lists are checked against the enum by a test.
    pub(crate) const KINDS: &'static [(&'static str, &'static [&'static str])] = &[
        ("conv2d", &["out_channels", "kernel", "stride", "padding", "dilation", "groups", "bias"]),
        ("batch_norm", &["momentum", "epsilon"]),
        ("max_pool2d", &["kernel", "stride", "padding"]),
        ("avg_pool2d", &["kernel", "stride", "padding"]),
        ("global_avg_pool", &[]),
        ("flatten", &[]),
        ("linear", &["units", "bias"]),
        ("relu", &[]),
        ("gelu", &[]),
        ("sigmoid", &[]),
        ("tanh", &[]),
        ("dropout", &["p"]),
        ("add", &[]),
        ("concat", &[]),
        ("columns", &["from", "to"]),
        ("embedding", &["vocabulary", "dimensions"]),
        ("softmax", &[]),
    ];

    /// The name in `lepton.toml`, `conv2d`.
    pub fn kind(&self) -> &'static str {
        match self {
            Layer::Conv2d { .. } => "conv2d",
            Layer::BatchNorm { .. } => "batch_norm",
            Layer::MaxPool2d { .. } => "max_pool2d",
            Layer::AvgPool2d { .. } => "avg_pool2d",
            Layer::GlobalAvgPool => "global_avg_pool",
            Layer::Flatten => "flatten",
            Layer::Linear { .. } => "linear",
            Layer::Relu => "relu",
            Layer::Gelu => "gelu",
            Layer::Sigmoid => "sigmoid",
            Layer::Tanh => "tanh",
            Layer::Dropout { .. } => "dropout",
            Layer::Add => "add",
            Layer::Concat => "concat",
            Layer::Columns { .. } => "columns",
            Layer::Embedding { .. } => "embedding",
            Layer::Softmax => "softmax",
        }
    }

    /// A square convolution with stride 1, no padding and a bias; for zoos and tests.
    pub fn conv2d(out_channels: usize, kernel: usize) -> Layer {
        Layer::Conv2d {
            out_channels,
            kernel: [kernel; 2],
            stride: [1; 2],
            padding: Padding::Valid,
            dilation: [1; 2],
            groups: 1,
            bias: true,
        }
    }

    /// Square max pooling without overlap.
    pub fn max_pool2d(kernel: usize) -> Layer {
        Layer::MaxPool2d { kernel: [kernel; 2], stride: None, padding: Padding::Valid }
    }

    /// A dense layer with a bias.
    pub fn linear(units: usize) -> Layer {
        Layer::Linear { units, bias: true }
    }

    /// Batch normalisation with the usual momentum 0.1 and epsilon 1e-5.
    pub fn batch_norm() -> Layer {
        Layer::BatchNorm { momentum: tenth(), epsilon: small() }
    }
}

/// What surrounds a picture before a window slides over it. In files: `"valid"`, `"same"`, one number for all
/// sides, `[height, width]`, or `[top, left, bottom, right]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// Nothing: the window stays inside.
    #[default]
    Valid,
    /// As much as makes the output `ceil(side / stride)` long; an odd cell goes to the bottom and the right.
    Same,
    /// Given for each edge.
    Explicit {
        /// Rows above.
        top: usize,
        /// Columns to the left.
        left: usize,
        /// Rows below.
        bottom: usize,
        /// Columns to the right.
        right: usize,
    },
}

impl Serialize for Padding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Padding::Valid => serializer.serialize_str("valid"),
            Padding::Same => serializer.serialize_str("same"),
            Padding::Explicit { top, left, bottom, right } => [top, left, bottom, right].serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Padding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Padding, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Name(String),
            All(usize),
            Sides(Vec<usize>),
        }
        const FORMS: &str = "padding is \"valid\", \"same\", a number, [height, width] or [top, left, bottom, right]";
        let explicit = |top, left, bottom, right| Padding::Explicit { top, left, bottom, right };
        match Form::deserialize(deserializer).map_err(|_| D::Error::custom(FORMS))? {
            Form::Name(name) if name == "valid" => Ok(Padding::Valid),
            Form::Name(name) if name == "same" => Ok(Padding::Same),
            Form::All(all) => Ok(explicit(all, all, all, all)),
            Form::Sides(sides) => match sides[..] {
                [height, width] => Ok(explicit(height, width, height, width)),
                [top, left, bottom, right] => Ok(explicit(top, left, bottom, right)),
                _ => Err(D::Error::custom(FORMS)),
            },
            Form::Name(name) => Err(D::Error::custom(format!("{FORMS}, not \"{name}\""))),
        }
    }
}

/// One number for both sides, or two.
fn pair<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[usize; 2], D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Square(usize),
        Sides([usize; 2]),
    }
    match Form::deserialize(deserializer).map_err(|_| D::Error::custom("expected a number or [height, width]"))? {
        Form::Square(side) => Ok([side; 2]),
        Form::Sides(sides) => Ok(sides),
    }
}

fn optional_pair<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<[usize; 2]>, D::Error> {
    pair(deserializer).map(Some)
}

fn one() -> usize {
    1
}

fn ones() -> [usize; 2] {
    [1; 2]
}

fn yes() -> bool {
    true
}

fn tenth() -> f64 {
    0.1
}

fn small() -> f64 {
    1e-5
}
