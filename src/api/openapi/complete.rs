//! What all operations have in common, said once and spread over them: places of parameters and credentials, headers,
//! names.

use serde_json::{Map, Value, json};

use super::answers;

const DESCRIPTION: &str = "\
Links WhatsApp devices by QR code and keeps their sessions alive.

**Parameters** may stand in the query or in a body (JSON, form or multipart; a body without a type is read as JSON), the \
instance in the header `X-Instance-ID` too. The same value in several places is fine; different ones are \
`400 conflicting_parameter`. An instance token needs no `instance_id`.

**Errors** come in the form that `Accept` asks for: JSON (the default), problem+json, XML, text or HTML. `status` is the \
HTTP status, `code` is stable. Whoever waits for `Retry-After` seconds and asks again does as intended.

`HEAD` works wherever `GET` does. Every answer has an `X-Request-Id`.";

/// Headers, by their names: the schema and what they tell.
const HEADERS: &[(&str, &str, &str)] = &[
    ("X-Request-Id", "string", "Names this request in the log; the caller's own is kept if it is a sane word."),
    ("RateLimit-Policy", "string", "The limit that is nearest: its name, how many requests in how many seconds."),
    ("RateLimit", "string", "Where that limit stands: requests left, and seconds until one more is."),
    ("Idempotency-Replayed", "string", "`true` on an answer that was given before to the same Idempotency-Key."),
    ("Retry-After", "integer", "Seconds after which the same request may succeed; absent if time does not mend it."),
    ("WWW-Authenticate", "string", "`Bearer`."),
    ("Allow", "string", "The methods of the route."),
    ("ETag", "string", "Names this version, for `If-None-Match`."),
    ("Accept-Ranges", "string", "`bytes`."),
    ("Content-Range", "string", "Which bytes these are, and of how many."),
    ("Content-Disposition", "string", "The file's name, made harmless, and whether a browser may show it."),
    ("Content-Digest", "string", "SHA-256 of the body (RFC 9530): whether what arrived is what was sent."),
    ("X-QR-Expires-At", "integer", "When the code rotates out, in Unix milliseconds."),
    ("X-QR-Attempt", "integer", "Which code of its round this is, from 1."),
    ("X-QR-Max-Attempts", "integer", "How many codes a round has."),
];

/// The forms of a request body.
const FORMS: [&str; 3] = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"];

/// Completes the document that was derived.
pub(super) fn complete(document: &mut Value) {
    document["info"]["title"] = "wagate".into();
    document["info"]["description"] = DESCRIPTION.into();
    document["servers"] = json!([{ "url": "/" }]);
    let schemes = security_schemes();
    document["security"] = schemes.keys().map(|name| json!({ name.as_str(): [] })).collect();
    let components = &mut document["components"];
    components["securitySchemes"] = schemes.into();
    components["responses"] = answers::components();
    components["schemas"]["Problem"] = answers::problem();
    components["headers"] = HEADERS.iter().map(|(name, of, told)| ((*name).to_owned(), header(of, told))).collect();
    let Some(paths) = document["paths"].as_object_mut() else { return };
    for operations in paths.values_mut().filter_map(Value::as_object_mut) {
        let names: Vec<Value> = operations.values().map(|operation| operation["operationId"].clone()).collect();
        for (method, operation) in operations {
            // One handler that answers to several methods has one name.
            if names.iter().filter(|name| **name == operation["operationId"]).count() > 1 {
                let name = operation["operationId"].as_str().expect("utoipa names each operation");
                operation["operationId"] = format!("{name}_{method}").into();
            }
            complete_operation(method, operation);
        }
    }
    for response in object(&mut document["components"]["responses"]) {
        response["headers"]["X-Request-Id"] = answers::header("X-Request-Id");
    }
}

fn header(of: &str, told: &str) -> Value {
    json!({ "description": told, "schema": { "type": of } })
}

fn security_schemes() -> Map<String, Value> {
    let told = "An account key (`wga_…`), an instance token (`wgi_…`) or a link token (`wgl_…`).";
    let key = |place, name| json!({ "type": "apiKey", "in": place, "name": name, "description": told });
    let schemes = [
        ("bearer", json!({ "type": "http", "scheme": "bearer", "description": told })),
        ("apiKey", key("header", "X-Api-Key")),
        ("accessTokenHeader", key("header", "access-token")),
        ("accessTokenQuery", key("query", "access_token")),
    ];
    schemes.into_iter().map(|(name, scheme)| (name.to_owned(), scheme)).collect()
}

/// The values of an object.
fn object(value: &mut Value) -> impl Iterator<Item = &mut Value> {
    value.as_object_mut().into_iter().flat_map(Map::values_mut)
}

fn complete_operation(method: &str, operation: &mut Value) {
    let is_public = operation.get("security").is_some();
    for response in object(&mut operation["responses"]) {
        complete_response(response, is_public);
    }
    if is_public {
        return;
    }
    let parameters = operation["parameters"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let (mut placed, mut fields) = (Vec::new(), Map::new());
    for parameter in parameters {
        let parameter = described(parameter);
        if parameter["in"] == "header" || parameter["in"] == "path" {
            placed.push(parameter);
            continue;
        }
        fields.insert(parameter["name"].as_str().expect("a parameter has a name").to_owned(), field(&parameter));
        placed.push(in_query(parameter, method == "post"));
    }
    if fields.contains_key("instance_id") {
        placed.push(instance_header());
    }
    operation["parameters"] = placed.into();
    if method == "post" {
        operation["requestBody"] = body(fields);
    }
}

/// Headers that the attribute only names become references; those that every answer has are added.
fn complete_response(response: &mut Value, is_public: bool) {
    if response.get("$ref").is_some() {
        return;
    }
    for bytes in ["/content/image~1png", "/content/*~1*"] {
        if let Some(bytes) = response.pointer_mut(bytes) {
            // Bytes have no schema; utoipa would make them a list of numbers.
            *bytes = json!({});
        }
    }
    let common: &[&str] =
        if is_public { &["X-Request-Id"] } else { &["X-Request-Id", "RateLimit", "RateLimit-Policy"] };
    let named: Vec<String> = response["headers"].as_object().into_iter().flat_map(Map::keys).cloned().collect();
    let names = named.iter().map(String::as_str).chain(common.iter().copied());
    response["headers"] = names.map(|name| (name.to_owned(), answers::header(name))).collect();
}

/// A parameter with what is said of it everywhere, and without the `null` that an `Option` brings: an empty value is an
/// absent one, in a query too.
fn described(mut parameter: Value) -> Value {
    if parameter["name"] == "webhook_id" && parameter.get("description").is_none() {
        parameter["description"] = "The webhook.".into();
    }
    let schema = &mut parameter["schema"];
    if let Some(types) = schema["type"].as_array() {
        let first = types.iter().find(|of| *of != "null").cloned();
        schema["type"] = first.expect("a type is not null alone");
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let first = choices.iter().find(|choice| choice["type"] != "null").cloned();
        *schema = first.expect("a choice is not null alone");
    }
    if parameter["name"] == "instance_id" && parameter.get("description").is_none() {
        parameter["description"] = "The instance. Not needed with an instance token, or with `X-Instance-ID`.".into();
        parameter["required"] = false.into();
    }
    parameter
}

/// The parameter as a field of a body.
fn field(parameter: &Value) -> Value {
    let mut schema = parameter["schema"].clone();
    for key in ["description", "example"] {
        if let Some(value) = parameter.get(key) {
            let (key, value) = if key == "example" { ("examples", json!([value])) } else { (key, value.clone()) };
            schema[key] = value;
        }
    }
    schema
}

/// The parameter in the query: never required where it may stand in a body, and an object as its JSON.
fn in_query(mut parameter: Value, has_body: bool) -> Value {
    if has_body && parameter["required"] == true {
        parameter["required"] = false.into();
        let told = parameter["description"].as_str().unwrap_or_default();
        parameter["description"] = format!("{told} Required, here or in the body.").trim_start().into();
    }
    if parameter["schema"]["type"] == "array" {
        // Separated by commas: a parameter that is given twice would have to have the same value twice.
        parameter["explode"] = false.into();
    }
    if parameter["schema"]["type"] == "object" {
        let schema = parameter["schema"].take();
        let parameter = parameter.as_object_mut().expect("a parameter is an object");
        parameter.remove("schema");
        let example = parameter.remove("example").unwrap_or_default();
        parameter.insert("content".into(), json!({ "application/json": { "schema": schema, "example": example } }));
    }
    parameter
}

fn instance_header() -> Value {
    json!({
        "name": "X-Instance-ID", "in": "header", "required": false,
        "description": "The instance, instead of `instance_id`.",
        "schema": { "$ref": "#/components/schemas/InstanceId" },
    })
}

/// The request body of a route with these fields, in each form it may take.
fn body(mut fields: Map<String, Value>) -> Value {
    fields.insert(
        "access_token".into(),
        json!({ "type": "string", "description": "The credential, if no header has it." }),
    );
    let example: Map<String, Value> =
        fields.iter().filter_map(|(name, schema)| Some((name.clone(), schema["examples"].get(0)?.clone()))).collect();
    // In a form an object is its JSON, and a list is separated by commas.
    let encoded = fields.iter().filter_map(|(name, schema)| match schema["type"].as_str() {
        Some("object") => Some((name.clone(), json!({ "contentType": "application/json" }))),
        Some("array") => Some((name.clone(), json!({ "style": "form", "explode": false }))),
        Some(_) | None => None,
    });
    let encoding: Map<String, Value> = encoded.collect();
    let schema = json!({ "type": "object", "properties": fields });
    let content: Map<String, Value> = FORMS
        .iter()
        .map(|form| {
            let mut content = json!({ "schema": schema, "example": example });
            if *form != "application/json" && !encoding.is_empty() {
                content["encoding"] = encoding.clone().into();
            }
            ((*form).to_owned(), content)
        })
        .collect();
    json!({ "required": false, "content": content })
}
