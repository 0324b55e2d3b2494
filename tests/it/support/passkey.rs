//! What stands in for an authenticator.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// What an authenticator makes of the options.
pub(crate) fn assertion(options: &Value, challenge: &str) -> Value {
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let client = json!({ "type": "webauthn.get", "challenge": challenge, "origin": "https://web.whatsapp.com" });
    let relying_party = Sha256::digest(options["rpId"].as_str().unwrap());
    let authenticator = [relying_party.as_slice(), &[0b101, 0, 0, 0, 1]].concat();
    let id = &options["allowCredentials"][0]["id"];
    json!({
        "id": id, "rawId": id, "type": "public-key", "clientExtensionResults": {},
        "response": {
            "clientDataJSON": encode(client.to_string().as_bytes()),
            "authenticatorData": encode(&authenticator),
            "signature": encode(&[7; 70]),
        }
    })
}
