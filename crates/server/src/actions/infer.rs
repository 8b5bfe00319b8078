//! `POST /v2/models/{model}/infer`: tensors in, tensors out.

use super::Call;
use crate::http::Answer;
use crate::protocol::{self, InferRequest};
use crate::refusal::Refusal;
use crate::state::HEAVY_BYTES;
use lepton_core::Limits;

const HEADER_LENGTH: &str = "inference-header-content-length";

pub(super) async fn infer(mut call: Call) -> Result<Answer, Refusal> {
    let body = call.take_body()?;
    let header_length = match call.headers.get(HEADER_LENGTH) {
        None => None,
        Some(value) => Some(
            value
                .to_str()
                .ok()
                .and_then(|text| text.parse::<usize>().ok())
                .ok_or_else(|| Refusal::new(400, "Inference-Header-Content-Length is not a whole number"))?,
        ),
    };
    let endpoint = call.endpoint()?;
    let heavy = body.bytes.len() > HEAVY_BYTES;
    let parse =
        move |bytes: &[u8], limits: &Limits| InferRequest::parse(bytes, header_length, limits).map_err(Refusal::from);
    let mut request = if heavy {
        let limits = call.state.settings.limits.clone();
        call.state.off_thread(move || parse(&body.bytes, &limits)).await?
    } else {
        parse(&body.bytes, &call.state.settings.limits)?
    };
    let signature = &endpoint.model.manifest().signature;
    protocol::check_wanted(&request.outputs, signature.outputs.iter().map(|spec| spec.name.as_str()))?;
    let outputs = endpoint.run(std::mem::take(&mut request.inputs)).await?;
    endpoint.count_outputs(&outputs);
    let (name, version) = (endpoint.name.clone(), endpoint.version);
    let encode = move || protocol::encode(&name, version, &request, &outputs);
    let encoded = if heavy { call.state.off_thread(encode).await? } else { encode()? };
    Ok(match encoded.header_length {
        None => Answer::new(200, "application/json", encoded.body),
        Some(length) => {
            Answer::new(200, "application/octet-stream", encoded.body).header(HEADER_LENGTH, length.to_string())
        }
    })
}
