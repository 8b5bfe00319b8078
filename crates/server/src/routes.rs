//! The one table of routes: method, pattern, action, whether a body is taken, and what the reference says.
//!
//! Matching, the `Allow` header, metrics labels and `/openapi.json` all come from it.

use hyper::Method;

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The page for people.
    Page,
    /// The generated API description.
    OpenApi,
    /// Prometheus text.
    Metrics,
    /// Alive at all.
    Live,
    /// Taking requests.
    Ready,
    /// Served models, in the OpenAI list shape.
    Models,
    /// One served model.
    ModelSummary,
    /// A person's input in, the task's answer out.
    Predict,
    /// Protocol and server version.
    ServerMetadata,
    /// Alive, as the inference protocol spells it.
    ProtocolLive,
    /// Ready, as the inference protocol spells it.
    ProtocolReady,
    /// Rows for a dataset.
    Ingest,
    /// Names, dtypes and shapes of a model.
    ModelMetadata,
    /// Whether a model takes requests.
    ModelReady,
    /// Tensors in, tensors out.
    Infer,
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: Method,
    /// The path; `{model}`, `{version}` and `{dataset}` each match one segment.
    pub(crate) pattern: &'static str,
    pub(crate) action: Action,
    pub(crate) tag: &'static str,
    pub(crate) summary: &'static str,
}

const fn route(
    method: Method,
    pattern: &'static str,
    action: Action,
    tag: &'static str,
    summary: &'static str,
) -> Route {
    Route { method, pattern, action, tag, summary }
}

/// Every route of the server. Bodies are taken by the POST routes only, up to `limits.body_bytes`.
pub(crate) static ROUTES: [Route; 22] = [
    route(Method::GET, "/", Action::Page, "server", "A page that lists the models, with examples"),
    route(Method::GET, "/openapi.json", Action::OpenApi, "server", "This description"),
    route(Method::GET, "/metrics", Action::Metrics, "server", "Metrics in the Prometheus text format"),
    route(Method::GET, "/healthz", Action::Live, "health", "Whether the server is alive"),
    route(Method::GET, "/livez", Action::Live, "health", "Whether the server is alive"),
    route(Method::GET, "/readyz", Action::Ready, "health", "Whether the server takes requests"),
    route(Method::GET, "/ping", Action::Ready, "health", "Whether the server takes requests"),
    route(Method::GET, "/health", Action::Ready, "health", "Whether the server takes requests"),
    route(Method::GET, "/v1/models", Action::Models, "models", "The served models"),
    route(Method::POST, "/v1/predict/{model}", Action::Predict, "models", "Predict for a picture, rows or a table"),
    route(Method::POST, "/v1/ingest/{dataset}", Action::Ingest, "data", "Append rows to a dataset"),
    route(Method::GET, "/v2", Action::ServerMetadata, "inference protocol", "Server metadata"),
    route(Method::GET, "/v2/health/live", Action::ProtocolLive, "inference protocol", "Server live"),
    route(Method::GET, "/v2/health/ready", Action::ProtocolReady, "inference protocol", "Server ready"),
    route(Method::GET, "/v2/models/{model}", Action::ModelMetadata, "inference protocol", "Model metadata"),
    route(Method::GET, "/v2/models/{model}/ready", Action::ModelReady, "inference protocol", "Model ready"),
    route(Method::POST, "/v2/models/{model}/infer", Action::Infer, "inference protocol", "Inference on tensors"),
    route(
        Method::GET,
        "/v2/models/{model}/versions/{version}",
        Action::ModelMetadata,
        "inference protocol",
        "Metadata of one version",
    ),
    route(
        Method::GET,
        "/v2/models/{model}/versions/{version}/ready",
        Action::ModelReady,
        "inference protocol",
        "Whether one version is ready",
    ),
    route(
        Method::POST,
        "/v2/models/{model}/versions/{version}/infer",
        Action::Infer,
        "inference protocol",
        "Inference on tensors with one version",
    ),
    route(
        Method::POST,
        "/v1/predict/{model}/versions/{version}",
        Action::Predict,
        "models",
        "Predict with one version",
    ),
    route(Method::GET, "/v1/models/{model}", Action::ModelSummary, "models", "One served model"),
];

/// What the path's placeholders matched, decoded once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PathValues {
    pub(crate) model: String,
    pub(crate) version: Option<String>,
    pub(crate) dataset: String,
}

/// The outcome of looking a request up.
#[derive(Debug)]
pub(crate) enum Found {
    /// The index in [`ROUTES`] and what the path said.
    Route(usize, PathValues),
    /// The path exists; these are its methods.
    OtherMethod(&'static str),
    /// No such path.
    Nothing,
}

/// Looks a request up. `HEAD` is answered wherever `GET` is.
pub(crate) fn find(method: &Method, path: &str) -> Found {
    let wanted = if method == Method::HEAD { &Method::GET } else { method };
    let mut found = Found::Nothing;
    for (index, route) in ROUTES.iter().enumerate() {
        let Some(values) = match_path(route.pattern, path) else { continue };
        if route.method == *wanted {
            return Found::Route(index, values);
        }
        found = Found::OtherMethod(if route.method == Method::GET { "GET, HEAD" } else { "POST" });
    }
    found
}

fn match_path(pattern: &str, path: &str) -> Option<PathValues> {
    let mut values = PathValues::default();
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(values),
            (Some("{model}"), Some(segment)) => values.model = decode(segment)?,
            (Some("{dataset}"), Some(segment)) => values.dataset = decode(segment)?,
            (Some("{version}"), Some(segment)) => values.version = Some(decode(segment)?),
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return None,
        }
    }
}

/// Percent-decoding, once. The result is only ever compared with the names of served models.
fn decode(segment: &str) -> Option<String> {
    if segment.is_empty() {
        return None;
    }
    let mut bytes = segment.bytes();
    let mut decoded = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let high = char::from(bytes.next()?).to_digit(16)?;
        let low = char::from(bytes.next()?).to_digit(16)?;
        decoded.push((high * 16 + low) as u8);
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(path: &str) -> Option<(Action, PathValues)> {
        match find(&Method::GET, path) {
            Found::Route(index, values) => Some((ROUTES[index].action, values)),
            _ => None,
        }
    }

    #[test]
    fn every_route_finds_itself_and_knows_its_methods() {
        for (index, route) in ROUTES.iter().enumerate() {
            let path = route.pattern.replace("{model}", "m").replace("{version}", "1").replace("{dataset}", "d");
            assert!(matches!(find(&route.method, &path), Found::Route(found, _) if found == index), "{path}");
            assert!(matches!(find(&Method::DELETE, &path), Found::OtherMethod(_)), "{path}");
            assert!(matches!(find(&route.method, &format!("{path}/x/y/z")), Found::Nothing), "{path}");
        }
    }

    #[test]
    fn placeholders_are_decoded_once() {
        let (action, found) = values("/v2/models/a%2Db/versions/%31").unwrap();
        assert_eq!((action, found.model.as_str(), found.version.as_deref()), (Action::ModelMetadata, "a-b", Some("1")));
        assert_eq!(values("/v2/models/%252e%252e").unwrap().1.model, "%2e%2e");
        for path in
            ["/v2/models/", "/v2/models/%", "/v2/models/%zz", "/v2/models/%ff", "/v2//models/m", "/v2/", "//v2", ""]
        {
            assert!(values(path).is_none(), "{path}");
        }
    }
}
