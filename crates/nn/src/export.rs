//! From a network to ONNX.

use crate::Network;
use lepton_core::{Error, Result};

pub(crate) fn onnx(_network: &Network) -> Result<Vec<u8>> {
    Err(Error::internal("export is being written"))
}
