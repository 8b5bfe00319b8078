//! The binary tensor extension of the protocol: raw little-endian bytes after the JSON header, with their
//! lengths in it. Texts are each a 4-byte length and UTF-8.

use lepton_core::{DType, Error, ErrorCode, Result, TensorData};

/// The values in `bytes`, `count` of them.
///
/// # Errors
/// [`ErrorCode::Shape`] when the length does not fit, [`ErrorCode::BadInput`] for a boolean that is neither 0
/// nor 1 and for text that is not UTF-8.
pub(super) fn read(name: &str, dtype: DType, bytes: &[u8], count: usize) -> Result<TensorData> {
    if dtype == DType::Text {
        return read_texts(name, bytes, count).map(TensorData::Text);
    }
    if count.checked_mul(dtype.size()) != Some(bytes.len()) {
        return Err(Error::new(
            ErrorCode::Shape,
            format!("input \"{name}\": {} bytes do not hold {count} values of {}", bytes.len(), dtype.protocol_name()),
        ));
    }
    Ok(match dtype {
        DType::Float32 => TensorData::Float32(fixed(bytes, f32::from_le_bytes)),
        DType::Float64 => TensorData::Float64(fixed(bytes, f64::from_le_bytes)),
        DType::Int64 => TensorData::Int64(fixed(bytes, i64::from_le_bytes)),
        DType::Int32 => TensorData::Int32(fixed(bytes, i32::from_le_bytes)),
        DType::Int8 => TensorData::Int8(fixed(bytes, i8::from_le_bytes)),
        DType::UInt8 | DType::Text => TensorData::UInt8(bytes.to_vec()),
        DType::Bool => {
            if bytes.iter().any(|&byte| byte > 1) {
                return Err(Error::new(
                    ErrorCode::BadInput,
                    format!("input \"{name}\": a BOOL byte is neither 0 nor 1"),
                ));
            }
            TensorData::Bool(bytes.iter().map(|&byte| byte == 1).collect())
        }
    })
}

fn fixed<T, const N: usize>(bytes: &[u8], decode: fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| decode(*chunk)).collect()
}

fn read_texts(name: &str, mut bytes: &[u8], count: usize) -> Result<Vec<String>> {
    let short = || Error::new(ErrorCode::Shape, format!("input \"{name}\": its bytes do not hold {count} texts"));
    let mut texts = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let text = rest.get(..length).ok_or_else(short)?;
        let text = std::str::from_utf8(text)
            .map_err(|_| Error::new(ErrorCode::BadInput, format!("input \"{name}\": a text is not UTF-8")))?;
        texts.push(text.to_owned());
        bytes = &rest[length..];
    }
    if !bytes.is_empty() || texts.len() != count {
        return Err(short());
    }
    Ok(texts)
}

/// Appends the values and says how many bytes that took.
pub(super) fn write(data: &TensorData, out: &mut Vec<u8>) -> usize {
    let before = out.len();
    match data {
        TensorData::Float32(values) => values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes())),
        TensorData::Float64(values) => values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes())),
        TensorData::Int64(values) => values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes())),
        TensorData::Int32(values) => values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes())),
        TensorData::Int8(values) => values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes())),
        TensorData::UInt8(values) => out.extend_from_slice(values),
        TensorData::Bool(values) => out.extend(values.iter().map(|&value| u8::from(value))),
        TensorData::Text(values) => {
            for text in values {
                out.extend_from_slice(&(text.len() as u32).to_le_bytes());
                out.extend_from_slice(text.as_bytes());
            }
        }
    }
    out.len() - before
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_reads_back() {
        for data in [
            TensorData::Float32(vec![1.5, f32::NEG_INFINITY]),
            TensorData::Float64(vec![-0.1]),
            TensorData::Int64(vec![i64::MIN, 7]),
            TensorData::Int32(vec![-2]),
            TensorData::Int8(vec![-1, 1]),
            TensorData::UInt8(vec![0, 255]),
            TensorData::Bool(vec![true, false]),
            TensorData::Text(vec!["".into(), "é".into()]),
        ] {
            let mut bytes = Vec::new();
            assert_eq!(write(&data, &mut bytes), bytes.len());
            assert_eq!(read("x", data.dtype(), &bytes, data.len()).unwrap(), data);
            assert_eq!(read("x", data.dtype(), &bytes, data.len() + 1).unwrap_err().code(), ErrorCode::Shape);
        }
        assert!(read("x", DType::Bool, &[2], 1).is_err());
        assert!(read("x", DType::Text, &[1, 0, 0, 0, 0xff], 1).is_err());
        assert!(read("x", DType::Text, &[255, 255, 255, 255], 1).is_err());
        assert!(read("x", DType::Float64, &[], usize::MAX).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), count in 0usize..20) {
            for dtype in [DType::Float32, DType::Int64, DType::Bool, DType::Text] {
                let _ = read("x", dtype, &bytes, count);
            }
        }
    }
}
