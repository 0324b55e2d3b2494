//! Files between the client and the sandbox's media server.

use wagate::domain::media_reference::{MediaKind, MediaReference};
use wagate::engine::DownloadError;
use wagate::media::cipher;
use wagate::media::spool::{Spool, Spooled};

use super::client::{Client, Scene};

fn reference(kind: MediaKind, direct_path: &str) -> MediaReference {
    MediaReference {
        kind,
        direct_path: direct_path.to_owned(),
        media_key: vec![1; 32],
        sha256: vec![2; 32],
        enc_sha256: vec![3; 32],
        size: None,
        mimetype: None,
        filename: None,
    }
}

async fn spooled(spool: &Spool, content: &[u8]) -> Spooled {
    let mut arriving = spool.begin().await.unwrap();
    arriving.write(content).await.unwrap();
    arriving.finish().await.unwrap()
}

fn content(file: &Spooled) -> Vec<u8> {
    let mut content = Vec::new();
    std::io::Read::read_to_end(&mut file.reader(), &mut content).unwrap();
    content
}

async fn why(client: &Client, spool: &Spool, reference: &MediaReference) -> DownloadError {
    client.run.download(reference, spool.begin().await.unwrap()).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_uploaded_comes_back_as_it_was() {
    let scene = Scene::new().await;
    let (client, ..) = scene.linked().await;
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), 8 * 1024 * 1024).unwrap();
    for (kind, length) in MediaKind::ALL.iter().zip([0, 1, 65_536, 100_000, 6 * 1024 * 1024]) {
        let plain: Vec<u8> = (0..length).map(|place: u32| place.to_le_bytes()[0]).collect();
        let mut encrypted = Vec::new();
        let info = cipher::encrypt(plain.as_slice(), &mut encrypted, *kind).unwrap();
        let file = spooled(&spool, &encrypted).await;
        let uploaded = client.run.upload(&file, *kind, &info.file_enc_sha256).await.unwrap();
        assert!(uploaded.url.starts_with("https://127.0.0.1:"), "{}", uploaded.url);
        let reference = MediaReference {
            enc_sha256: info.file_enc_sha256.to_vec(),
            media_key: info.media_key.to_vec(),
            ..reference(*kind, &uploaded.direct_path)
        };
        let fetched = client.run.download(&reference, spool.begin().await.unwrap()).await.unwrap();
        assert_eq!(content(&fetched), encrypted, "{kind}");
        let opener = cipher::Opener::of(&reference);
        opener.verify(fetched.reader(), fetched.length()).unwrap();
    }
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_had_is_told_from_one_that_must_not() {
    let scene = Scene::new().await;
    let (client, ..) = scene.linked().await;
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), 100).unwrap();

    let gone = reference(MediaKind::Image, "/mms/image/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert!(matches!(why(&client, &spool, &gone).await, DownloadError::Gone));
    for path in ["@127.0.0.1:1/mms/image/a", "https://example.com/", ""] {
        let astray = reference(MediaKind::Image, path);
        assert!(matches!(why(&client, &spool, &astray).await, DownloadError::Damaged), "{path}");
    }

    let mut encrypted = Vec::new();
    let info = cipher::encrypt([7; 50].as_slice(), &mut encrypted, MediaKind::Image).unwrap();
    let file = spooled(&spool, &encrypted).await;
    let uploaded = client.run.upload(&file, MediaKind::Image, &info.file_enc_sha256).await.unwrap();
    // Another hash than the sender's: the server has a file at this path, but not that one.
    let other = reference(MediaKind::Image, &uploaded.direct_path);
    assert!(matches!(why(&client, &spool, &other).await, DownloadError::Damaged));
    let narrow = Spool::open(folder.path(), 10).unwrap();
    assert!(matches!(why(&client, &narrow, &other).await, DownloadError::Spool(_)));

    client.run.shutdown().await;
    assert!(matches!(why(&client, &spool, &gone).await, DownloadError::Engine(_)));
}
