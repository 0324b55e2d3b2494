//! A multipart body that was taken apart, as it is written again for the node that owns the instance.

use std::fmt::Write as _;
use std::io;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use uuid::Uuid;

use super::file::Part;

/// The fields of a body and its file.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    /// The fields, in their order.
    pub(super) fields: Vec<(String, String)>,
    /// The file, which is the last part.
    pub(super) file: Part,
}

/// A body as it is sent: its type, its length, and what it is made of.
pub(crate) struct Written {
    pub(crate) content_type: String,
    pub(crate) length: u64,
    pub(crate) chunks: BoxStream<'static, io::Result<Bytes>>,
}

impl Parts {
    /// Writes the body with a boundary that no part holds: it is drawn now.
    pub(crate) fn write(&self, boundary: Uuid) -> Written {
        let mut head = String::new();
        let part = |name: &str| format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", quoted(name));
        for (name, value) in &self.fields {
            // Writing to a string cannot fail.
            let _ = write!(head, "{}\r\n\r\n{value}\r\n", part(name));
        }
        let Part { file, filename, mimetype } = &self.file;
        let filename = quoted(filename.as_deref().unwrap_or("file"));
        let mimetype = mimetype.as_deref().unwrap_or("application/octet-stream");
        let _ = write!(head, "{}; filename=\"{filename}\"\r\nContent-Type: {mimetype}\r\n\r\n", part("file"));
        let tail = format!("\r\n--{boundary}--\r\n");
        let length = head.len() as u64 + file.length() + tail.len() as u64;
        let whole = |text: String| stream::iter([Ok(Bytes::from(text))]);
        let chunks = whole(head).chain(file.chunks()).chain(whole(tail)).boxed();
        Written { content_type: format!("multipart/form-data; boundary={boundary}"), length, chunks }
    }
}

/// What would end a name in the head of a part is written as browsers write it.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;
    use multer::Multipart;

    use super::*;
    use crate::media::spool::Spool;

    #[tokio::test]
    async fn what_is_written_again_reads_as_it_was() {
        let scratch = tempfile::tempdir().unwrap();
        let mut file = Spool::open(scratch.path(), 100).unwrap().begin().await.unwrap();
        file.write(b"a picture\r\n--x").await.unwrap();
        let part = Part {
            file: file.finish().await.unwrap(),
            filename: Some("a \"b\".png".to_owned()),
            mimetype: Some("image/png".to_owned()),
        };
        let fields = vec![("chatId".to_owned(), "1".to_owned()), ("caption".to_owned(), "two\r\nlines".to_owned())];
        let written = Parts { fields, file: part }.write(Uuid::nil());
        let boundary = multer::parse_boundary(&written.content_type).unwrap();
        let body = written.chunks.try_collect::<Vec<Bytes>>().await.unwrap().concat();
        assert_eq!(body.len() as u64, written.length);
        let mut parts = Multipart::new(stream::iter([io::Result::Ok(Bytes::from(body))]), boundary);
        for (name, value) in [("chatId", "1"), ("caption", "two\r\nlines")] {
            let field = parts.next_field().await.unwrap().unwrap();
            assert_eq!(field.name(), Some(name));
            assert_eq!(field.text().await.unwrap(), value);
        }
        let file = parts.next_field().await.unwrap().unwrap();
        assert_eq!((file.name(), file.file_name()), (Some("file"), Some("a %22b%22.png")));
        assert_eq!(file.bytes().await.unwrap(), "a picture\r\n--x");
        assert!(parts.next_field().await.unwrap().is_none());
    }
}
