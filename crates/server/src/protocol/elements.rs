//! Reads the `data` list of a JSON tensor straight into a typed buffer: flat or nested, no value tree between.
//!
//! Numbers are checked against the datatype that the request names; nothing is rounded, wrapped or guessed.

use lepton_core::{DType, Error, ErrorCode, Result, TensorData};
use serde::de::{self, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use std::fmt;

/// One element type that JSON can carry.
pub(super) trait Element: Sized {
    /// What a person calls it, for errors.
    const EXPECTED: &'static str;
    fn float(_: f64) -> Option<Self> {
        None
    }
    fn signed(_: i64) -> Option<Self> {
        None
    }
    fn unsigned(_: u64) -> Option<Self> {
        None
    }
    fn boolean(_: bool) -> Option<Self> {
        None
    }
    fn text(_: &str) -> Option<Self> {
        None
    }
}

impl Element for f32 {
    const EXPECTED: &'static str = "a number within float32 (FP32)";
    fn float(value: f64) -> Option<f32> {
        let narrow = value as f32;
        narrow.is_finite().then_some(narrow)
    }
    fn signed(value: i64) -> Option<f32> {
        Some(value as f32)
    }
    fn unsigned(value: u64) -> Option<f32> {
        Some(value as f32)
    }
}

impl Element for f64 {
    const EXPECTED: &'static str = "a number (FP64)";
    fn float(value: f64) -> Option<f64> {
        value.is_finite().then_some(value)
    }
    fn signed(value: i64) -> Option<f64> {
        Some(value as f64)
    }
    fn unsigned(value: u64) -> Option<f64> {
        Some(value as f64)
    }
}

macro_rules! integer_element {
    ($type:ty, $expected:literal) => {
        impl Element for $type {
            const EXPECTED: &'static str = $expected;
            fn signed(value: i64) -> Option<$type> {
                value.try_into().ok()
            }
            fn unsigned(value: u64) -> Option<$type> {
                value.try_into().ok()
            }
        }
    };
}

integer_element!(i64, "a whole number within int64 (INT64)");
integer_element!(i32, "a whole number within int32 (INT32)");
integer_element!(i8, "a whole number within int8 (INT8)");
integer_element!(u8, "a whole number within uint8 (UINT8)");

impl Element for bool {
    const EXPECTED: &'static str = "true or false (BOOL)";
    fn boolean(value: bool) -> Option<bool> {
        Some(value)
    }
}

impl Element for String {
    const EXPECTED: &'static str = "a string (BYTES)";
    fn text(value: &str) -> Option<String> {
        Some(value.to_owned())
    }
}

/// The side lengths of a nested list, as they turn out while it is read.
#[derive(Debug)]
struct Nesting {
    sides: Vec<Option<usize>>,
    /// The depth at which values stand; [`Nesting::UNKNOWN`] until the first.
    leaves_at: usize,
}

impl Nesting {
    const UNKNOWN: usize = usize::MAX;

    fn new() -> Nesting {
        Nesting { sides: Vec::new(), leaves_at: Nesting::UNKNOWN }
    }

    fn leaf(&mut self, depth: usize) -> Result<(), &'static str> {
        if depth == 0 {
            return Err("\"data\" must be a list");
        }
        if depth == self.leaves_at {
            return Ok(());
        }
        if self.leaves_at != Nesting::UNKNOWN {
            return Err("\"data\" is ragged: values stand at different depths");
        }
        self.leaves_at = depth;
        Ok(())
    }

    /// A list that stood at `depth` (0 is the outermost) ended after `count` members.
    fn close(&mut self, depth: usize, count: usize) -> Result<(), &'static str> {
        if self.sides.len() <= depth {
            self.sides.resize(depth + 1, None);
        }
        match self.sides[depth] {
            None => self.sides[depth] = Some(count),
            Some(known) if known == count => {}
            Some(_) => return Err("\"data\" is ragged: lists of one level have different lengths"),
        }
        Ok(())
    }
}

/// The list of a tensor's `data`, in row-major order.
#[derive(Debug)]
pub(super) struct ParsedData {
    pub(super) values: TensorData,
    nesting: Nesting,
}

impl ParsedData {
    /// Checks that the list, where it is nested, nests as `shape` says. A flat list fits any shape of its length.
    pub(super) fn check_nesting(&self, name: &str, shape: &[usize]) -> Result<()> {
        let sides: Vec<usize> = self.nesting.sides.iter().map(|side| side.unwrap_or(0)).collect();
        if sides.len() > 1 && sides != shape {
            return Err(Error::new(
                ErrorCode::Shape,
                format!("input \"{name}\" says shape {shape:?}, but its data nests as {sides:?}"),
            ));
        }
        Ok(())
    }
}

/// Reads a `data` list as elements of one dtype.
pub(super) struct DataSeed {
    pub(super) dtype: DType,
    /// How many elements the shape promises, where it is known already; only used to reserve memory.
    pub(super) expected: usize,
}

impl<'de> DeserializeSeed<'de> for DataSeed {
    type Value = ParsedData;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<ParsedData, D::Error> {
        fn read<'de, T: Element, D: Deserializer<'de>>(
            deserializer: D,
            expected: usize,
            wrap: fn(Vec<T>) -> TensorData,
        ) -> Result<ParsedData, D::Error> {
            // The promise comes from outside: reserve no more than a page or two for it.
            let mut values = Vec::with_capacity(expected.min(16 * 1024));
            let mut nesting = Nesting::new();
            Level { values: &mut values, nesting: &mut nesting, depth: 0 }.deserialize(deserializer)?;
            Ok(ParsedData { values: wrap(values), nesting })
        }
        match self.dtype {
            DType::Float32 => read(deserializer, self.expected, TensorData::Float32),
            DType::Float64 => read(deserializer, self.expected, TensorData::Float64),
            DType::Int64 => read(deserializer, self.expected, TensorData::Int64),
            DType::Int32 => read(deserializer, self.expected, TensorData::Int32),
            DType::Int8 => read(deserializer, self.expected, TensorData::Int8),
            DType::UInt8 => read(deserializer, self.expected, TensorData::UInt8),
            DType::Bool => read(deserializer, self.expected, TensorData::Bool),
            DType::Text => read(deserializer, self.expected, TensorData::Text),
        }
    }
}

struct Level<'a, T> {
    values: &'a mut Vec<T>,
    nesting: &'a mut Nesting,
    depth: usize,
}

impl<T: Element> Level<'_, T> {
    #[inline]
    fn push<E: de::Error>(self, value: Option<T>, shown: impl fmt::Display) -> Result<(), E> {
        let value = value.ok_or_else(|| E::custom(format_args!("\"data\" holds {shown}, expected {}", T::EXPECTED)))?;
        self.nesting.leaf(self.depth).map_err(E::custom)?;
        self.values.push(value);
        Ok(())
    }
}

impl<'de, T: Element> DeserializeSeed<'de> for Level<'_, T> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Element> Visitor<'de> for Level<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of {}", T::EXPECTED)
    }

    #[inline]
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.push(T::float(value), value)
    }

    #[inline]
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.push(T::signed(value), value)
    }

    #[inline]
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.push(T::unsigned(value), value)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.push(T::boolean(value), value)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        self.push(T::text(value), "a string")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.push(None, "null")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut count = 0usize;
        while list
            .next_element_seed(Level { values: self.values, nesting: self.nesting, depth: self.depth + 1 })?
            .is_some()
        {
            count += 1;
        }
        self.nesting.close(self.depth, count).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(dtype: DType, text: &str) -> Result<ParsedData, String> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        DataSeed { dtype, expected: 0 }.deserialize(&mut deserializer).map_err(|error| error.to_string())
    }

    #[test]
    fn flat_and_nested_lists_give_the_same_values() {
        let flat = parse(DType::Float32, "[1, 2.5, -3, 4e0]").unwrap();
        let nested = parse(DType::Float32, "[[1, 2.5], [-3, 4]]").unwrap();
        assert_eq!(flat.values, nested.values);
        assert!(flat.check_nesting("x", &[2, 2]).is_ok());
        assert!(flat.check_nesting("x", &[4, 1]).is_ok());
        assert!(nested.check_nesting("x", &[2, 2]).is_ok());
        assert!(nested.check_nesting("x", &[4, 1]).is_err());
        assert!(nested.check_nesting("x", &[1, 2, 2]).is_err());
    }

    #[test]
    fn each_dtype_takes_its_own_values_only() {
        let good = [
            (DType::Float32, "[0.1, 1]", TensorData::Float32(vec![0.1, 1.0])),
            (DType::Float64, "[0.1]", TensorData::Float64(vec![0.1])),
            (DType::Int64, "[-9223372036854775808]", TensorData::Int64(vec![i64::MIN])),
            (DType::Int32, "[2147483647]", TensorData::Int32(vec![i32::MAX])),
            (DType::Int8, "[-128]", TensorData::Int8(vec![-128])),
            (DType::UInt8, "[255]", TensorData::UInt8(vec![255])),
            (DType::Bool, "[true, false]", TensorData::Bool(vec![true, false])),
            (DType::Text, r#"["a", "\u00e9"]"#, TensorData::Text(vec!["a".into(), "é".into()])),
        ];
        for (dtype, text, values) in good {
            assert_eq!(parse(dtype, text).unwrap().values, values);
        }
        for (dtype, text) in [
            (DType::Float32, "[1e39]"),
            (DType::Float64, "[1e400]"),
            (DType::Float32, "[null]"),
            (DType::Float32, "[NaN]"),
            (DType::Float32, r#"["1"]"#),
            (DType::Int64, "[9223372036854775808]"),
            (DType::Int64, "[1.0]"),
            (DType::Int32, "[2147483648]"),
            (DType::Int8, "[128]"),
            (DType::UInt8, "[-1]"),
            (DType::Bool, "[1]"),
            (DType::Text, "[1]"),
            (DType::Float32, "1"),
            (DType::Float32, "{}"),
        ] {
            assert!(parse(dtype, text).is_err(), "{dtype} {text}");
        }
    }

    #[test]
    fn ragged_lists_are_refused() {
        for text in ["[[1, 2], [3]]", "[1, [2]]", "[[1], 2]", "[[[1]], [2]]"] {
            assert!(parse(DType::Float32, text).unwrap_err().contains("ragged"), "{text}");
        }
        assert!(parse(DType::Float32, "[[], []]").unwrap().check_nesting("x", &[2, 0]).is_ok());
    }

    proptest! {
        #[test]
        fn every_float32_survives_the_wire(values in prop::collection::vec(prop::num::f32::NORMAL | prop::num::f32::SUBNORMAL | prop::num::f32::ZERO, 0..50)) {
            let text = serde_json::to_string(&values).unwrap();
            let parsed = parse(DType::Float32, &text).unwrap().values;
            let TensorData::Float32(back) = parsed else { panic!("another dtype") };
            prop_assert_eq!(back.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), values.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
        }

        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]0-9,.eE+\\-\" tfn]{0,60}") {
            for dtype in [DType::Float32, DType::Int8, DType::Bool, DType::Text] {
                if let Ok(data) = parse(dtype, &text) {
                    let _ = data.check_nesting("x", &[2, 2]);
                }
            }
        }
    }
}
