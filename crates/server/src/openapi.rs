//! `/openapi.json`, generated from the route table, so that it cannot name a route that is not there or miss one.

use crate::routes::{Action, ROUTES, Route};
use serde_json::{Map, Value, json};

/// The OpenAPI 3.1 description of this server. `body_limit` is `limits.body_bytes`.
pub(crate) fn description(body_limit: u64) -> Value {
    let mut paths = Map::new();
    for (index, route) in ROUTES.iter().enumerate() {
        let path = paths.entry(route.pattern).or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = operation(index, route, body_limit);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Lepton",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Serves model packages: the Open Inference Protocol v2, predictions in a task's own words, health and metrics.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    })
}

fn operation(index: usize, route: &Route, body_limit: u64) -> Value {
    let parameters: Vec<Value> = ["model", "version", "dataset"]
        .into_iter()
        .filter(|name| route.pattern.contains(&format!("{{{name}}}")))
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    let error = |text: &str| json!({"description": text, "content": json_content("Error")});
    let mut responses = json!({"200": answer(route.action)});
    if !parameters.is_empty() && route.action != Action::Ingest {
        responses["404"] = error("There is no such model or version");
    }
    if matches!(route.action, Action::Ready | Action::ProtocolReady | Action::ModelReady) {
        responses["503"] = json!({"description": "Not ready, or stopping"});
    }
    if route.action == Action::Ingest {
        responses["401"] = error("No token, or one that is not known");
        responses["403"] = error("A token for another dataset, another origin or host, or a server without --ingest");
    }
    let mut operation = json!({
        "operationId": format!("{:?}{}", route.action, ordinal(index)),
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": parameters,
    });
    if let Some(body) = request_body(route.action, body_limit) {
        operation["requestBody"] = body;
        for (status, text) in [
            ("400", "The request is malformed or does not fit the model"),
            ("408", "The body came too slowly"),
            ("413", "Past a limit, which is named"),
            ("415", "The media type or encoding is not taken"),
            ("422", "NaN or infinity where JSON cannot carry it"),
            ("429", "The queue is full; see Retry-After"),
            ("500", "The server failed; see its log"),
            ("503", "Stopping, or out of memory for bodies; see Retry-After"),
            ("504", "The request took longer than limits.request_ms"),
        ] {
            responses[status] = error(text);
        }
        if route.action == Action::Ingest {
            operation["security"] = json!([{"token": []}]);
        } else {
            responses["403"] = error("Another origin or host");
        }
    }
    operation["responses"] = responses;
    operation
}

/// Empty for the first route of an action, then 2, 3, ...: operation ids must be unique.
fn ordinal(index: usize) -> String {
    let before = ROUTES[..index].iter().filter(|route| route.action == ROUTES[index].action).count();
    if before == 0 { String::new() } else { (before + 1).to_string() }
}

fn json_content(schema: &str) -> Value {
    json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{schema}")}}})
}

fn answer(action: Action) -> Value {
    let (text, content) = match action {
        Action::Page => ("The page", json!({"text/html": {"schema": {"type": "string"}}})),
        Action::Metrics => ("Metrics", json!({"text/plain": {"schema": {"type": "string"}}})),
        Action::OpenApi => ("The description", json!({"application/json": {"schema": {"type": "object"}}})),
        Action::Live | Action::Ready => ("Yes", json!({"application/json": {"schema": {"type": "object"}}})),
        Action::Models => ("The models", json_content("ModelList")),
        Action::ModelSummary => ("The model", json_content("ModelSummary")),
        Action::Predict => ("One prediction for each row", json_content("PredictAnswer")),
        Action::Ingest => ("The rows are on the disk", json_content("IngestAnswer")),
        Action::ServerMetadata => ("The metadata", json_content("ServerMetadata")),
        Action::ProtocolLive => ("Live", json_content("Live")),
        Action::ProtocolReady => ("Ready", json_content("Ready")),
        Action::ModelMetadata => ("The metadata", json_content("ModelMetadata")),
        Action::ModelReady => ("Ready", json_content("ModelReady")),
        Action::Infer => ("The outputs", json_content("InferAnswer")),
    };
    json!({"description": text, "content": content})
}

fn request_body(action: Action, body_limit: u64) -> Option<Value> {
    let content = match action {
        Action::Infer => json!({
            "application/json": {"schema": {"$ref": "#/components/schemas/InferRequest"}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary",
                "description": "The JSON, as long as Inference-Header-Content-Length says, then raw tensors"}},
        }),
        Action::Ingest => json!({
            "application/x-ndjson": {"schema": {"type": "string", "description": "One JSON object per line"}},
        }),
        Action::Predict => json!({
            "image/png": {"schema": {"type": "string", "format": "binary"}},
            "image/jpeg": {"schema": {"type": "string", "format": "binary"}},
            "application/json": {"schema": {"type": "object",
                "description": "One row by column name, or {\"rows\": [...]}; a picture is {\"b64\": \"...\"}"}},
            "text/csv": {"schema": {"type": "string", "description": "A header line, then rows"}},
            "multipart/form-data": {"schema": {"type": "object",
                "properties": {"file": {"type": "string", "format": "binary"}}}},
        }),
        _ => return None,
    };
    Some(json!({"required": true, "description": format!("At most {body_limit} bytes"), "content": content}))
}

fn schemas() -> Value {
    let text = || json!({"type": "string"});
    let flag = || json!({"type": "boolean"});
    let list = |items: Value| json!({"type": "array", "items": items});
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let object = |required: &[&str], properties: Value| json!({"type": "object", "required": required, "properties": properties});
    let datatype = json!({"enum": ["FP32", "FP64", "INT64", "INT32", "INT8", "UINT8", "BOOL", "BYTES"]});
    let shape = list(json!({"type": "integer"}));
    let values =
        json!({"type": "array", "items": {}, "description": "Flat in row-major order, or nested as the shape"});
    let parameters = json!({"type": "object"});
    json!({
        "Error": object(&["error"], json!({"error": text()})),
        "Live": object(&["live"], json!({"live": flag()})),
        "Ready": object(&["ready"], json!({"ready": flag()})),
        "ModelReady": object(&["name", "ready"], json!({"name": text(), "ready": flag()})),
        "ServerMetadata": object(&["name", "version", "extensions"],
            json!({"name": text(), "version": text(), "extensions": list(text())})),
        "TensorMetadata": object(&["name", "datatype", "shape"],
            json!({"name": text(), "datatype": datatype, "shape": shape})),
        "ModelMetadata": object(&["name", "platform", "inputs", "outputs"], json!({
            "name": text(), "versions": list(text()), "platform": text(),
            "inputs": list(reference("TensorMetadata")), "outputs": list(reference("TensorMetadata"))})),
        "InputTensor": object(&["name", "shape", "datatype"], json!({
            "name": text(), "shape": shape, "datatype": datatype, "parameters": parameters, "data": values})),
        "OutputTensor": object(&["name", "shape", "datatype"], json!({
            "name": text(), "shape": shape, "datatype": datatype, "parameters": parameters, "data": values})),
        "InferRequest": object(&["inputs"], json!({
            "id": text(), "parameters": parameters, "inputs": list(reference("InputTensor")),
            "outputs": list(object(&["name"], json!({"name": text(), "parameters": parameters})))})),
        "InferAnswer": object(&["model_name", "outputs"], json!({
            "model_name": text(), "model_version": text(), "id": text(), "outputs": list(reference("OutputTensor"))})),
        "ModelSummary": object(&["id", "object", "version"], json!({
            "id": text(), "object": {"const": "model"}, "created": {"type": "integer"}, "owned_by": text(),
            "version": {"type": "integer"}, "task": {"type": ["string", "null"]}})),
        "ModelList": object(&["object", "data"],
            json!({"object": {"const": "list"}, "data": list(reference("ModelSummary"))})),
        "ClassProbability": object(&["label", "probability"], json!({"label": text(), "probability": {"type": "number"}})),
        "Prediction": object(&[], json!({
            "label": text(), "probability": {"type": "number"}, "probabilities": list(reference("ClassProbability")),
            "labels": {"type": "array", "items": text(), "description": "The labels that hold, where several may"},
            "value": {"type": "number", "description": "A number that is predicted"},
            "forecast": {"type": "array", "items": {"type": "number"}, "description": "The median of each step ahead"},
            "quantiles": {"type": "object", "additionalProperties": list(json!({"type": "number"})),
                "description": "Each quantile of the steps ahead, by its level"},
            "outputs": {"type": "object", "description": "Raw outputs of a model without a decoder"}})),
        "IngestAnswer": object(&["dataset", "sequence", "rows", "total_rows", "repeated"], json!({
            "dataset": text(), "sequence": {"type": "integer"}, "rows": {"type": "integer"},
            "total_rows": {"type": "integer"}, "repeated": flag()})),
        "PredictAnswer": object(&["model", "version", "predictions"], json!({
            "model": text(), "version": {"type": "integer"}, "predictions": list(reference("Prediction"))})),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_description_names_exactly_the_routes_of_the_table() {
        let description = description(1);
        let mut described = BTreeSet::new();
        for (path, operations) in description["paths"].as_object().unwrap() {
            for method in operations.as_object().unwrap().keys() {
                described.insert((path.clone(), method.to_uppercase()));
            }
        }
        let table: BTreeSet<_> =
            ROUTES.iter().map(|route| (route.pattern.to_owned(), route.method.as_str().to_owned())).collect();
        assert_eq!(table.len(), ROUTES.len(), "a route is in the table twice");
        assert_eq!(described, table);
    }

    #[test]
    fn every_reference_resolves_and_every_operation_id_is_unique() {
        let description = description(1);
        let mut references = Vec::new();
        let mut ids = Vec::new();
        let mut open = vec![&description];
        while let Some(value) = open.pop() {
            match value {
                Value::Object(map) => {
                    if let Some(Value::String(target)) = map.get("$ref") {
                        references.push(target.clone());
                    }
                    if let Some(Value::String(id)) = map.get("operationId") {
                        ids.push(id.clone());
                    }
                    open.extend(map.values());
                }
                Value::Array(items) => open.extend(items),
                _ => {}
            }
        }
        assert!(references.len() > 10);
        for reference in references {
            assert!(description.pointer(&reference[1..]).is_some(), "{reference}");
        }
        assert_eq!(ids.len(), ROUTES.len());
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    }
}
