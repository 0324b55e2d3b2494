//! The nodes the server speaks.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef, SERVER_JID};

use super::device::Device;
use super::network::{End, LinkRequest, Refusal};
use super::phone::Phone;

/// Offers references to an unlinked client.
pub(super) fn pair_device(id: &str, references: &[String]) -> Node {
    let references =
        references.iter().map(|text| NodeBuilder::new("ref").bytes(text.as_bytes()).build()).collect::<Vec<_>>();
    NodeBuilder::new("iq")
        .attr("from", SERVER_JID)
        .attr("type", "set")
        .attr("id", id)
        .attr("xmlns", "md")
        .children([NodeBuilder::new("pair-device").children(references).build()])
        .build()
}

/// Tells a client that a phone has scanned its code.
pub(super) fn pair_success(id: &str, request: &LinkRequest, seconds: i64) -> Node {
    let LinkRequest { phone, device, signed_identity, .. } = request;
    let number = device.id.device;
    let children = [
        NodeBuilder::new("device-identity").bytes(signed_identity.clone()).build(),
        NodeBuilder::new("device")
            .attr("jid", phone.jid().with_device(number))
            .attr("lid", phone.lid().with_device(number))
            .build(),
        NodeBuilder::new("platform").attr("name", "android").build(),
    ];
    NodeBuilder::new("iq")
        .attr("from", SERVER_JID)
        .attr("type", "set")
        .attr("id", id)
        .attr("xmlns", "md")
        .attr("t", seconds)
        .children([NodeBuilder::new("pair-success").children(children).build()])
        .build()
}

/// The content of `<device-identity>` in a client's answer to `pair-success`.
pub(super) fn signed_identity<'n>(answer: &'n NodeRef<'_>) -> Option<&'n [u8]> {
    answer.get_optional_child("pair-device-sign")?.get_optional_child("device-identity")?.content_bytes()
}

/// Asks a client to connect again, which it must after it was linked.
pub(super) fn restart() -> Node {
    NodeBuilder::new("stream:error").attr("code", "515").build()
}

/// The last words of a connection.
pub(super) fn end(end: End) -> Node {
    let (code, conflict) = match end {
        End::Replaced => (None, "replaced"),
        End::Removed => (Some("401"), "device_removed"),
    };
    let node = NodeBuilder::new("stream:error").children([NodeBuilder::new("conflict").attr("type", conflict).build()]);
    match code {
        Some(code) => node.attr("code", code).build(),
        None => node.build(),
    }
}

/// Lets a device in.
pub(super) fn success(phone: &Phone, device: &Device, seconds: i64) -> Node {
    NodeBuilder::new("success")
        .attr("t", seconds)
        .attr("props", "27")
        .attr("companion_enc_static", "")
        .attr("lid", phone.lid().with_device(device.id.device))
        .attr("display_name", phone.name.as_str())
        .build()
}

/// Refuses a log-in; `None` if that is done without a word.
pub(super) fn failure(refusal: Refusal) -> Option<Node> {
    let node = |reason: u32| NodeBuilder::new("failure").attr("reason", reason).attr("location", "sbx");
    Some(match refusal {
        Refusal::Closed => return None,
        Refusal::Unknown => node(401).build(),
        Refusal::Banned(seconds) => node(402).attr("code", "101").attr("expire", seconds).build(),
        Refusal::Locked => node(403).build(),
        Refusal::Outdated => node(405).build(),
    })
}

/// Tells a client that nothing more of what it missed is coming.
pub(super) fn offline_done(count: usize) -> Node {
    let done = NodeBuilder::new("offline").attr("count", count).build();
    NodeBuilder::new("ib").attr("from", SERVER_JID).children([done]).build()
}

/// Tells a client what is coming of what it missed.
pub(super) fn offline_preview(missed: &[Node]) -> Node {
    let count = |tag: &str| missed.iter().filter(|node| node.tag == tag).count();
    let preview = NodeBuilder::new("offline_preview")
        .attr("count", missed.len())
        .attr("message", count("message"))
        .attr("notification", count("notification"))
        .attr("receipt", count("receipt"))
        .attr("appdata", 0_u32)
        .build();
    NodeBuilder::new("ib").attr("from", SERVER_JID).children([preview]).build()
}

/// Acknowledges a message, or says that it was not taken.
pub(super) fn message_ack(message: &Node, seconds: i64, error: Option<&'static str>) -> Node {
    let text = |name: &str| message.attrs.get(name).map(|value| value.as_str().into_owned()).unwrap_or_default();
    let ack = NodeBuilder::new("ack")
        .attr("class", "message")
        .attr("id", text("id"))
        .attr("from", text("to"))
        .attr("t", seconds);
    match error {
        Some(code) => ack.attr("error", code).build(),
        None => ack.build(),
    }
}
