//! What a file is, by its own bytes: the type it is declared as must be of that class, and a picture is measured by its
//! header before anybody decodes it.
//!
//! WhatsApp's phones show few forms. A file that they could not show is refused with the way out: to send it as a
//! document, which may be anything. Nothing is transcoded.

use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};

use crate::domain::outgoing_file::FileKind;

use super::spool::Spooled;

/// As much of a file as its type is told by.
const HEAD: u64 = 8 * 1024;

/// The longest page of an Ogg stream.
const LONGEST_PAGE: u64 = 65_307;

/// The longest side of a picture, in pixels.
const MAX_SIDE: usize = 12_000;

/// The most pixels of a picture: as many bytes times four take part in showing it.
const MAX_PIXELS: usize = 50_000_000;

/// What was found out of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its media type, as WhatsApp is told.
    pub mimetype: String,
    /// Width and height of a picture, in pixels.
    pub dimensions: Option<(u32, u32)>,
    /// How long a voice note takes, in whole seconds.
    pub seconds: Option<u32>,
}

/// A file cannot be sent as what it was to be.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It is another kind of file.
    #[error("it must be {wanted}, and is {found}; anything can be sent as a document")]
    Kind {
        /// What it would have to be.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// It was declared as something else.
    #[error("it is declared as {declared}, and is {found}")]
    Declared {
        /// As what.
        declared: String,
        /// What it is.
        found: &'static str,
    },
    /// It begins like a picture and goes on otherwise.
    #[error("the size of the picture does not stand where it should")]
    Unreadable,
    /// It would take too much to show it.
    #[error("the picture has {width} x {height} pixels; 12,000 a side and 50 million in all are the most")]
    Dimensions {
        /// Its width.
        width: usize,
        /// Its height.
        height: usize,
    },
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// It could not be read.
    #[error("it could not be read")]
    Io(#[from] io::Error),
}

/// Looks at a file that is to be sent as `kind`. Blocks.
pub fn look(file: &Spooled, kind: FileKind, declared: Option<&str>) -> Result<Found, Unfit> {
    if file.length() == 0 {
        return Err(Unfit::Empty);
    }
    let mut head = Vec::new();
    file.reader().take(HEAD).read_to_end(&mut head)?;
    let found = infer::get(&head).map(|kind| kind.mime_type());
    let mimetype = match kind {
        FileKind::Image => one_of(found, "a JPEG or PNG picture", &[("image/jpeg", ""), ("image/png", "")])?,
        FileKind::Sticker => one_of(found, "a WebP picture", &[("image/webp", "")])?,
        FileKind::Video => {
            let known = [("video/mp4", ""), ("video/x-m4v", "video/mp4"), ("video/3gpp", "")];
            one_of(found.or_else(|| three_gpp(&head)), "an MP4 or 3GP film", &known)?
        }
        FileKind::Voice => one_of(
            found,
            "sound in Opus within Ogg (it is not transcoded)",
            &[("audio/opus", "audio/ogg; codecs=opus")],
        )?,
        FileKind::Audio => {
            let known = [
                ("audio/opus", "audio/ogg; codecs=opus"),
                ("audio/mpeg", ""),
                ("audio/m4a", "audio/mp4"),
                ("audio/aac", ""),
                ("audio/amr", ""),
            ];
            one_of(found, "sound as MP3, M4A, AAC, AMR or Opus within Ogg", &known)?
        }
        FileKind::Pdf => one_of(found, "a PDF", &[("application/pdf", "")])?,
        FileKind::Document => declared.or(found).unwrap_or("application/octet-stream").to_owned(),
    };
    if let (Some(declared), Some(found)) = (declared, found) {
        agree(declared, found)?;
    }
    let dimensions = match kind {
        FileKind::Image | FileKind::Sticker => Some(measure(file)?),
        FileKind::Video | FileKind::Voice | FileKind::Audio | FileKind::Pdf | FileKind::Document => None,
    };
    let seconds = match kind {
        FileKind::Voice => duration(file)?,
        FileKind::Image
        | FileKind::Sticker
        | FileKind::Video
        | FileKind::Audio
        | FileKind::Pdf
        | FileKind::Document => None,
    };
    Ok(Found { mimetype, dimensions, seconds })
}

/// The last page of an Ogg stream tells how many samples came before its end; Opus has 48,000 a second (RFC 7845).
fn duration(file: &Spooled) -> Result<Option<u32>, Unfit> {
    let mut tail = Vec::new();
    let mut reader = file.reader();
    reader.seek(SeekFrom::Start(file.length().saturating_sub(LONGEST_PAGE)))?;
    reader.read_to_end(&mut tail)?;
    let page = tail.windows(4).rposition(|window| window == b"OggS").map(|place| &tail[place..]);
    let samples = page.and_then(|page| page.get(6..14)).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
    Ok(samples.and_then(|samples| u32::try_from(samples.div_ceil(48_000)).ok()).filter(|seconds| *seconds > 0))
}

/// The type WhatsApp is told of a file that is one of these; an empty name means the same.
fn one_of(found: Option<&str>, wanted: &'static str, known: &[(&str, &str)]) -> Result<String, Unfit> {
    let matched = known.iter().find(|(name, _)| found == Some(name));
    let unfit = || Unfit::Kind { wanted, found: found.unwrap_or("of no known form").to_owned() };
    let (name, told) = matched.ok_or_else(unfit)?;
    Ok(if told.is_empty() { (*name).to_owned() } else { (*told).to_owned() })
}

/// The table of types has no entry for it.
fn three_gpp(head: &[u8]) -> Option<&'static str> {
    (head.get(4..7) == Some(b"fty") && head.get(8..10) == Some(b"3g")).then_some("video/3gpp")
}

/// Pictures, films and sounds are shown to people by their class: it must be the true one.
fn agree(declared: &str, found: &'static str) -> Result<(), Unfit> {
    let class = |mimetype: &str| mimetype.split('/').next().unwrap_or_default().trim().to_ascii_lowercase();
    let shown = ["image", "video", "audio"];
    let (claimed, true_class) = (class(declared), class(found));
    let lies = claimed != true_class && (shown.contains(&claimed.as_str()) || found.contains("executable"));
    // The one container holds both, and its makers are careless.
    let is_either =
        declared.contains("mp4") && found.contains("mp4") || declared.contains("ogg") && found.contains("ogg");
    if lies && !is_either { Err(Unfit::Declared { declared: declared.to_owned(), found }) } else { Ok(()) }
}

fn measure(file: &Spooled) -> Result<(u32, u32), Unfit> {
    let size = imagesize::reader_size(BufReader::new(file.reader())).map_err(|_| Unfit::Unreadable)?;
    let (width, height) = (size.width, size.height);
    let fits = (1..=MAX_SIDE).contains(&width) && (1..=MAX_SIDE).contains(&height) && width * height <= MAX_PIXELS;
    let number = |side: usize| u32::try_from(side).map_err(|_| Unfit::Unreadable);
    if fits { Ok((number(width)?, number(height)?)) } else { Err(Unfit::Dimensions { width, height }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::spool::Spool;

    const JPEG: &[u8] = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xc0\x00\x11\x08\x00\x10\x00\x20\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01\xff\xd9";

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        file.extend_from_slice(&width.to_be_bytes());
        file.extend_from_slice(&height.to_be_bytes());
        file.extend_from_slice(b"\x08\x02\0\0\0\0\0\0\0");
        file
    }

    fn opus() -> Vec<u8> {
        let mut file = b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\x13".to_vec();
        file.extend_from_slice(b"OpusHead\x01\x01\0\0\x80\xbb\0\0\0\0\0");
        file
    }

    async fn seen(content: &[u8], kind: FileKind, declared: Option<&str>) -> Result<Found, Unfit> {
        let scratch = tempfile::tempdir().unwrap();
        let mut arriving = Spool::open(scratch.path(), u64::MAX).unwrap().begin().await.unwrap();
        arriving.write(content).await.unwrap();
        look(&arriving.finish().await.unwrap(), kind, declared)
    }

    #[tokio::test]
    async fn a_file_is_what_its_bytes_say() {
        let mp4 = b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41";
        for (content, kind, mimetype) in [
            (JPEG, FileKind::Image, "image/jpeg"),
            (&png(10, 20), FileKind::Image, "image/png"),
            (mp4, FileKind::Video, "video/mp4"),
            (b"\0\0\0\x1cftyp3gp5\0\0\0\0", FileKind::Video, "video/3gpp"),
            (&opus(), FileKind::Voice, "audio/ogg; codecs=opus"),
            (&opus(), FileKind::Audio, "audio/ogg; codecs=opus"),
            (b"ID3\x03\0\0\0\0\0\0", FileKind::Audio, "audio/mpeg"),
            (b"%PDF-1.7\n", FileKind::Pdf, "application/pdf"),
            (b"%PDF-1.7\n", FileKind::Document, "application/pdf"),
            (b"a,b\n1,2\n", FileKind::Document, "application/octet-stream"),
        ] {
            assert_eq!(seen(content, kind, None).await.unwrap().mimetype, mimetype, "{kind}");
        }
        assert_eq!(seen(JPEG, FileKind::Image, None).await.unwrap().dimensions, Some((32, 16)));
        assert_eq!(seen(b"a,b\n", FileKind::Document, Some("text/csv")).await.unwrap().mimetype, "text/csv");
    }

    #[tokio::test]
    async fn a_file_that_a_phone_could_not_show_is_refused() {
        for (content, kind) in [
            (&b"GIF89a\x01\0\x01\0\0\0\0"[..], FileKind::Image),
            (b"%PDF-1.7\n", FileKind::Image),
            (JPEG, FileKind::Sticker),
            (JPEG, FileKind::Video),
            (b"ID3\x03\0\0\0\0\0\0", FileKind::Voice),
            (b"RIFF\x24\0\0\0WAVEfmt ", FileKind::Audio),
            (JPEG, FileKind::Pdf),
            (b"<html>", FileKind::Image),
        ] {
            assert!(matches!(seen(content, kind, None).await, Err(Unfit::Kind { .. })), "{kind}");
        }
        assert!(matches!(seen(b"", FileKind::Document, None).await, Err(Unfit::Empty)));
    }

    #[tokio::test]
    async fn a_voice_note_takes_as_long_as_its_last_page_says() {
        let mut note = opus();
        note.extend_from_slice(b"OggS\0\x04");
        note.extend_from_slice(&(48_000_u64 * 7 - 100).to_le_bytes());
        note.extend_from_slice(&[0; 30]);
        assert_eq!(seen(&note, FileKind::Voice, None).await.unwrap().seconds, Some(7));
        assert_eq!(seen(&opus(), FileKind::Voice, None).await.unwrap().seconds, None);
    }

    #[tokio::test]
    async fn a_picture_is_measured_before_anybody_decodes_it() {
        for (width, height) in [(12_001, 1), (1, 65_535), (9_000, 9_000), (u32::MAX, u32::MAX), (0, 5)] {
            let bomb = seen(&png(width, height), FileKind::Image, None).await;
            assert!(matches!(bomb, Err(Unfit::Dimensions { .. })), "{width} x {height}");
        }
        assert!(matches!(seen(b"\xff\xd8\xff\xe0\0\x10JFIF", FileKind::Image, None).await, Err(Unfit::Unreadable)));
        assert!(seen(&png(12_000, 4_000), FileKind::Image, None).await.is_ok());
    }

    #[tokio::test]
    async fn a_declared_type_must_be_of_the_true_class() {
        for declared in ["image/png", "IMAGE/JPEG", "application/octet-stream"] {
            assert!(seen(JPEG, FileKind::Image, Some(declared)).await.is_ok(), "{declared}");
        }
        let html_as_picture = seen(b"%PDF-1.7\n", FileKind::Document, Some("image/png")).await;
        assert!(matches!(html_as_picture, Err(Unfit::Declared { .. })));
        assert!(matches!(seen(JPEG, FileKind::Image, Some("video/mp4")).await, Err(Unfit::Declared { .. })));
        let program = seen(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", FileKind::Document, Some("text/plain")).await;
        assert!(matches!(program, Err(Unfit::Declared { .. })));
    }
}
