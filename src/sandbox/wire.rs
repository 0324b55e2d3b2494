//! Frames and nodes on a WebSocket: the length-prefixed frames of the handshake, then the encrypted binary XML nodes.

use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_websockets::{CloseCode, Message, WebSocketStream};
use wacore::framing::{FrameDecoder, encode_frame};
use wacore::handshake::{NoiseCipher, NoiseError};
use wacore_binary::consts::WA_CONN_HEADER;
use wacore_binary::{Node, OwnedNodeRef, marshal};

/// The first bytes of a client that wants to be routed to the data centre it talked to before.
const EDGE_ROUTING_INTRO: &[u8; 4] = b"ED\0\x01";

/// How long [`NodeStream::is_gone`] looks.
const PROBE: Duration = Duration::from_millis(5);

/// Why a connection broke.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    /// The WebSocket failed.
    #[error("the WebSocket failed")]
    WebSocket(#[from] tokio_websockets::Error),
    /// The client did not start with WhatsApp's header.
    #[error("the client does not start with the header of the protocol")]
    Header,
    /// A frame could not be decrypted or encrypted.
    #[error("a frame could not be encrypted or decrypted")]
    Cipher(#[from] NoiseError),
    /// A node could not be read or written.
    #[error("a node could not be encoded or decoded")]
    Node(#[from] wacore_binary::BinaryError),
    /// A frame is too large.
    #[error("a frame is too large")]
    FrameTooLarge,
    /// More frames went one way than the cipher can count.
    #[error("the cipher's counter is exhausted")]
    CounterExhausted,
}

/// A WebSocket that carries frames.
pub(super) struct Wire {
    socket: WebSocketStream<TcpStream>,
    decoder: FrameDecoder,
    greeted: bool,
}

impl Wire {
    /// Takes over an upgraded connection.
    pub(super) fn new(socket: WebSocketStream<TcpStream>) -> Self {
        Self { socket, decoder: FrameDecoder::new(), greeted: false }
    }

    /// The next frame; `None` once the client has closed. Cancelling it loses nothing.
    pub(super) async fn next_frame(&mut self) -> Result<Option<BytesMut>, WireError> {
        loop {
            if let Some(frame) = self.decoder.decode_frame() {
                return Ok(Some(frame));
            }
            let Some(message) = self.socket.next().await.transpose()? else { return Ok(None) };
            if message.is_close() {
                return Ok(None);
            }
            if message.is_binary() {
                let mut data = Bytes::from(message.into_payload());
                if !self.greeted {
                    strip_greeting(&mut data)?;
                    self.greeted = true;
                }
                self.decoder.feed(&data);
            }
        }
    }

    /// Sends one frame.
    pub(super) async fn send_frame(&mut self, payload: &[u8]) -> Result<(), WireError> {
        let frame = encode_frame(payload, None).map_err(|_| WireError::FrameTooLarge)?;
        self.socket.send(Message::binary(Bytes::from(frame))).await?;
        Ok(())
    }

    /// Says goodbye; an error means that nobody is left to hear it.
    pub(super) async fn close(&mut self) {
        let close = Message::close(Some(CloseCode::NORMAL_CLOSURE), "");
        if self.socket.send(close).await.is_ok() {
            let _ = self.socket.close().await;
        }
    }
}

/// Removes what precedes the first frame: an optional edge-routing note, then the protocol's header.
fn strip_greeting(data: &mut Bytes) -> Result<(), WireError> {
    if data.starts_with(EDGE_ROUTING_INTRO) {
        let length = data.get(4..7).ok_or(WireError::Header)?;
        let length = usize::from(length[0]) << 16 | usize::from(length[1]) << 8 | usize::from(length[2]);
        if data.len() < 7 + length {
            return Err(WireError::Header);
        }
        data.advance(7 + length);
    }
    if !data.starts_with(&WA_CONN_HEADER) {
        return Err(WireError::Header);
    }
    data.advance(WA_CONN_HEADER.len());
    Ok(())
}

/// Nodes, encrypted both ways.
pub(super) struct NodeStream {
    wire: Wire,
    read: NoiseCipher,
    write: NoiseCipher,
    received: u32,
    sent: u32,
}

impl NodeStream {
    /// Goes on with the ciphers that the handshake left.
    pub(super) fn new(wire: Wire, read: NoiseCipher, write: NoiseCipher) -> Self {
        Self { wire, read, write, received: 0, sent: 0 }
    }

    /// The next node; `None` once the client has closed. Cancelling it loses nothing.
    pub(super) async fn next(&mut self) -> Result<Option<OwnedNodeRef>, WireError> {
        let Some(mut frame) = self.wire.next_frame().await? else { return Ok(None) };
        self.read.decrypt_in_place_with_counter(self.received, &mut frame)?;
        self.received = self.received.checked_add(1).ok_or(WireError::CounterExhausted)?;
        let node = wacore_binary::util::unpack_bytes(frame)?;
        Ok(Some(OwnedNodeRef::new(node)?))
    }

    /// Sends one node.
    pub(super) async fn send(&mut self, node: &Node) -> Result<(), WireError> {
        let plain = marshal(node)?;
        let sealed = self.write.encrypt_with_counter(self.sent, &plain)?;
        self.sent = self.sent.checked_add(1).ok_or(WireError::CounterExhausted)?;
        self.wire.send_frame(&sealed).await
    }

    /// Says goodbye.
    pub(super) async fn close(&mut self) {
        self.wire.close().await;
    }

    /// Whether the client has closed or lost the connection. What it had sent before is thrown away, so ask only of a
    /// connection that is about to be ended.
    ///
    /// A moment is given, because the end of a connection may be known to the machine and not yet to the runtime.
    pub(super) async fn is_gone(&mut self) -> bool {
        let drained = async { while let Ok(Some(_)) = self.wire.next_frame().await {} };
        tokio::time::timeout(PROBE, drained).await.is_ok()
    }
}
