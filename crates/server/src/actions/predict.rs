//! `POST /v1/predict/{model}`: what a person has in, the task's answer out.

use super::Call;
use crate::http::Answer;
use crate::json_depth::check_depth;
use crate::media::{Media, file_of_form};
use crate::refusal::Refusal;
use arrow_array::RecordBatch;
use lepton_core::{Limits, Prediction, Schema};
use lepton_recipe::raw;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

#[derive(Serialize)]
struct PredictAnswer<'a> {
    model: &'a str,
    version: u64,
    predictions: &'a [Prediction],
}

pub(super) async fn predict(mut call: Call) -> Result<Answer, Refusal> {
    let body = call.take_body()?;
    let content_type = call.header("content-type").map(str::to_owned);
    let media = Media::of(content_type.as_deref())?;
    let endpoint = call.endpoint()?;
    let (model, limits) = (Arc::clone(&endpoint.model), call.state.settings.limits.clone());
    // A few kilobytes can be a picture of fifty megapixels, so that every body is decoded off the connection's thread.
    let (rows, tensors) = call
        .state
        .off_thread(move || {
            let (media, bytes) = match media {
                Media::Form => file_of_form(content_type.as_deref().unwrap_or(""), &body.bytes)?,
                other => (other, body.bytes.as_slice()),
            };
            if model.recipe().is_none() {
                let name = &model.manifest().name;
                return Err(Refusal::new(
                    400,
                    format!("\"{name}\" takes tensors only: use POST /v2/models/{{model}}/infer"),
                ));
            }
            let rows = rows_of(media, bytes, model.inputs(), &limits)?;
            if rows.num_rows() == 0 {
                return Err(Refusal::new(400, "there are no rows"));
            }
            let tensors = model.tensors_of(&rows)?;
            Ok((rows, tensors))
        })
        .await?;
    let outputs = endpoint.run(tensors).await?;
    let predictions = endpoint.model.decode(&outputs)?;
    endpoint.count_predictions(&predictions);
    if let Some(watch) = &endpoint.watch {
        watch.observe(&rows, &predictions)?;
    }
    let answer = PredictAnswer { model: &endpoint.name, version: endpoint.version, predictions: &predictions };
    Ok(Answer::json(&answer))
}

fn rows_of(media: Media, bytes: &[u8], schema: &Schema, limits: &Limits) -> Result<RecordBatch, Refusal> {
    Ok(match media {
        Media::Picture => raw::rows_from_pictures(schema, &[bytes], limits)?,
        Media::Csv => raw::rows_from_csv(schema, bytes, limits)?,
        Media::Json => raw::rows_from_json(schema, &json_rows(bytes, limits)?, limits)?,
        Media::Form => return Err(Refusal::new(415, "a form inside a form is not taken")),
    })
}

/// The rows of `{"rows": [...]}`, or one row.
fn json_rows(bytes: &[u8], limits: &Limits) -> Result<Vec<Value>, Refusal> {
    check_depth(bytes, limits)?;
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| Refusal::new(400, format!("the body is not JSON: {error}")))?;
    let Value::Object(mut object) = value else {
        return Err(Refusal::new(400, "the JSON must be an object: one row by column name, or {\"rows\": [...]}"));
    };
    match object.remove("rows") {
        Some(Value::Array(rows)) if object.is_empty() => Ok(rows),
        Some(value) => {
            object.insert("rows".to_owned(), value);
            Ok(vec![Value::Object(object)])
        }
        None => Ok(vec![Value::Object(object)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_row_and_many_are_told_apart() {
        let rows = |text: &str| json_rows(text.as_bytes(), &Limits::default()).map_err(|refusal| refusal.status);
        assert_eq!(rows(r#"{"a": 1}"#), Ok(vec![json!({"a": 1})]));
        assert_eq!(rows(r#"{"rows": [{"a": 1}, {"a": 2}]}"#), Ok(vec![json!({"a": 1}), json!({"a": 2})]));
        assert_eq!(rows(r#"{"rows": 3, "a": 1}"#), Ok(vec![json!({"rows": 3, "a": 1})]));
        for bad in ["[]", "1", "", "{", r#"{"a": NaN}"#] {
            assert_eq!(rows(bad), Err(400), "{bad}");
        }
    }
}
