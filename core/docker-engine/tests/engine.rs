//! An engine that behaves, and one that does not: it follows a script.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "engine/fake.rs"]
mod fake;

use std::io::{self, Cursor, Read};
use std::os::unix::net::UnixListener;
use std::sync::mpsc;
use std::thread;

use fake::{Fake, Reply, json};
use longshore_content::Cancel;
use longshore_docker_engine::{Endpoint, Engine, Keeps};
use longshore_oci::{Error, ErrorKind};

const ID: &str = "sha256:1fbc50405beb876f5e74eee1792b934ac85964350fc54b65732d6086effad3d6";
const OTHER: &str = "sha256:b3ea09b9ac46e845758db5670ccfbf6bbd61a279ed38bda51e905a9d44e15dfe";

fn engine(fake: &Fake) -> Engine {
    Engine::new(fake.endpoint(), &Cancel::default())
}

/// An engine that responds to every request alike.
fn always(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Fake {
    Fake::start(move |_| reply())
}

fn unavailable(error: &Error, expected: &str) {
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", error.with_causes());
    assert!(error.with_causes().contains(expected), "{}", error.with_causes());
}

#[test]
fn engines_say_how_they_keep_images() {
    let docker = r#"{"Components":[{"Name":"Engine"},{"Name":"containerd"}]}"#;
    let cases = [
        (docker, r#"{"Driver":"overlay2","DriverStatus":[["Backing Filesystem","extfs"]]}"#, Keeps::Layers),
        (docker, r#"{"Driver":"vfs","DriverStatus":null}"#, Keeps::Layers),
        (docker, r#"{"DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]]}"#, Keeps::Blobs),
        ("{}", "{}", Keeps::Layers),
        (r#"{"Components":[{"Name":"Podman Engine"}]}"#, "{}", Keeps::LayersOfBlobs),
    ];
    for (version, info, keeps) in cases {
        let fake = Fake::start(move |request| json(if request.path == "/version" { version } else { info }));
        assert_eq!(engine(&fake).keeps().unwrap(), keeps, "{version} {info}");
    }
}

#[test]
fn images_are_listed_with_what_is_known_of_them() {
    let listed = format!(
        r#"[{{"Id":"{ID}","RepoTags":["app:1"],"Manifests":[{{"ID":"{ID}","Available":true}}]}},{{"Id":"odd"}}]"#
    );
    let fake = Fake::start(move |_| json(&listed));
    let images = engine(&fake).images(Keeps::Blobs).unwrap();
    assert_eq!(images.len(), 1);
    assert_eq!((images[0].id.to_string(), &images[0].tags[..]), (ID.to_owned(), &["app:1".to_owned()][..]));
    assert_eq!(images[0].complete, Some(vec![ID.parse().unwrap()]));
    assert_eq!(fake.requests()[0].path, "/images/json?manifests=1");
    assert!(fake.requests()[0].head.contains(&"host: api.moby.localhost".to_owned()));
}

/// containerd's store does so when an image is removed meanwhile.
#[test]
fn a_list_that_misses_content_is_asked_for_again() {
    let (count, times) = (std::sync::atomic::AtomicUsize::new(0), 3);
    let missing = || Reply::status(404, r#"{"message":"NotFound: content digest sha256:3: not found"}"#);
    let fake = Fake::start(move |_| match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < times {
        true => missing(),
        false => json("[]"),
    });
    assert_eq!(engine(&fake).images(Keeps::Blobs).unwrap(), []);
    assert_eq!(fake.requests().len(), times + 1);
    assert_eq!(engine(&always(missing)).images(Keeps::Blobs).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn an_image_is_inspected_by_name() {
    let described = format!(r#"{{"Id":"{ID}","RepoTags":null,"RootFS":{{"Type":"layers","Layers":["{OTHER}"]}}}}"#);
    let fake = Fake::start(move |request| match request.path.as_str() {
        "/images/a%20b:1/json" => json(&described),
        _ => Reply::status(404, r#"{"message":"No such image: x"}"#),
    });
    let found = engine(&fake).inspect("a b:1").unwrap().unwrap();
    assert_eq!((found.id.to_string(), found.diff_ids[0].to_string()), (ID.to_owned(), OTHER.to_owned()));
    assert_eq!(engine(&fake).inspect("x").unwrap(), None);
}

#[test]
fn images_are_named_and_removed() {
    let fake = Fake::start(|request| match request.method.as_str() {
        "POST" => Reply::status(201, ""),
        _ => json("[]"),
    });
    let engine = engine(&fake);
    engine.tag(&ID.parse().unwrap(), &"localhost:5000/a/b:1".parse().unwrap()).unwrap();
    engine.remove(&ID.parse().unwrap()).unwrap();
    let error = engine.tag(&ID.parse().unwrap(), &format!("app@{ID}").parse().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
    let requests: Vec<_> =
        fake.requests().into_iter().map(|request| format!("{} {}", request.method, request.path)).collect();
    let tag = format!("POST /images/{ID}/tag?repo=localhost%3A5000%2Fa%2Fb&tag=1");
    assert_eq!(requests, [tag, format!("DELETE /images/{ID}?noprune=1")]);
}

#[test]
fn an_archive_is_sent_whole_and_in_chunks() {
    let archive: Vec<u8> = (0..3_000_000_u32).map(|at| (at * 7) as u8).collect();
    let fake = always(|| json("{\"stream\":\"Loaded image: app:1\\n\"}"));
    engine(&fake).load(&mut Cursor::new(&archive)).unwrap();
    let request = &fake.requests()[0];
    assert!(request.body == archive && request.is_whole, "{} bytes", request.body.len());
    assert!(request.head.contains(&"transfer-encoding: chunked".to_owned()), "{:?}", request.head);
}

/// An archive that cannot be read to its end must not look like one that ends.
#[test]
fn an_archive_that_breaks_is_not_ended() {
    struct Breaks(usize);
    impl Read for Breaks {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(Error::corrupt("it broke on purpose").into());
            }
            self.0 -= 1;
            Ok(buffer.len())
        }
    }
    let fake = always(|| json("{}"));
    let error = engine(&fake).load(&mut Breaks(5)).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Corrupt, "it broke on purpose"));
    assert!(!fake.last().is_whole);
}

#[test]
fn errors_in_the_response_to_an_archive_are_errors() {
    for (response, kind, expected) in [
        (
            r#"{"stream":"x"}{"errorDetail":{"message":"no space left"},"error":"no"}"#,
            ErrorKind::InvalidInput,
            "no space left",
        ),
        (r#"{"stream":"Error unpacking image app: not found"}"#, ErrorKind::InvalidInput, "not found"),
        ("<html>", ErrorKind::Unavailable, "malformed"),
    ] {
        let fake = always(move || json(response));
        let error = engine(&fake).load(&mut io::empty()).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.message().contains(expected), "{error}");
    }
}

/// It refuses the archive at its beginning, and closes the connection while the rest is being sent.
#[test]
fn an_engine_that_stops_reading_is_heard() {
    let fake = always(|| Reply::status(500, r#"{"message":"the disk is full"}"#).before_the_body());
    let mut endless = io::repeat(7).take(1 << 30);
    let error = engine(&fake).load(&mut endless).unwrap_err();
    assert!(error.message().contains("(500): the disk is full"), "{error}");
    assert!(endless.limit() > 1 << 29, "all of the archive was read");
}

#[test]
fn refusals_are_told_apart() {
    for (status, body, kind, expected) in [
        (
            500,
            r#"{"message":"broken\nengine"}"#,
            ErrorKind::Unavailable,
            "the engine refuses /version (500): broken\\nengine",
        ),
        (403, "go away", ErrorKind::Denied, "the engine refuses /version (403): go away"),
        (404, "", ErrorKind::NotFound, "the engine refuses /version (404)"),
        (302, "", ErrorKind::Unavailable, "the engine refuses /version (302)"),
    ] {
        let fake = always(move || Reply::status(status, body));
        let error = engine(&fake).keeps().unwrap_err();
        assert_eq!((error.kind(), error.message()), (kind, expected));
    }
    let long = "x".repeat(1 << 20);
    let fake = always(move || Reply::status(500, &long));
    assert!(engine(&fake).keeps().unwrap_err().message().len() < 1000);
}

#[test]
fn what_is_no_engine_is_unavailable() {
    let garbage = always(|| Reply::raw("SSH-2.0-OpenSSH_9.6\r\n"));
    unavailable(&engine(&garbage).keeps().unwrap_err(), "is no Docker Engine: its response is not HTTP");
    let endless = always(|| Reply::raw(format!("HTTP/1.1 200 OK\r\n{}", "A: b\r\n".repeat(100_000))));
    unavailable(&engine(&endless).keeps().unwrap_err(), "is no Docker Engine");
    let silent = always(|| Reply::raw(""));
    unavailable(&engine(&silent).keeps().unwrap_err(), "closed the connection");
    let html = always(|| json("<html>"));
    unavailable(&engine(&html).keeps().unwrap_err(), "the response to /version is malformed");
    let cut = always(|| Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"Components\":"));
    unavailable(&engine(&cut).keeps().unwrap_err(), "the response to /version ends early");
    let cut =
        always(|| Reply::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\n{\"stream\":\"x\"}\r\n"));
    unavailable(&engine(&cut).load(&mut io::empty()).unwrap_err(), "the response to /images/load");
}

#[test]
fn a_document_has_a_limit() {
    let fake =
        always(|| Reply::raw(format!("HTTP/1.1 200 OK\r\ncontent-length: 70000000\r\n\r\n{}", " ".repeat(70_000_000))));
    unavailable(&engine(&fake).keeps().unwrap_err(), "more than 67108864 bytes");
}

#[test]
fn where_nothing_listens_is_said() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| -> Endpoint { format!("unix://{}", place.path().join(name).display()).parse().unwrap() };
    let error = Engine::new(at("missing"), &Cancel::default()).keeps().unwrap_err();
    let socket = place.path().join("missing");
    let expected =
        format!("cannot connect to the Docker Engine at unix://{}: there is no such socket", socket.display());
    assert_eq!((error.kind(), error.message()), (ErrorKind::Unavailable, &*expected));
    assert!(error.hint().unwrap().starts_with("is it running?"));
    drop(UnixListener::bind(place.path().join("dead")).unwrap());
    unavailable(&Engine::new(at("dead"), &Cancel::default()).keeps().unwrap_err(), "nothing listens there");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let engine = Engine::new(format!("tcp://{closed}").parse().unwrap(), &Cancel::default());
    unavailable(&engine.keeps().unwrap_err(), "nothing listens there");
}

#[test]
fn an_archive_of_an_image_arrives_as_it_is() {
    let archive: Vec<u8> = (0..2_000_000_u32).map(|at| (at * 3) as u8).collect();
    let sent = archive.clone();
    let fake = Fake::start(move |request| match request.path.starts_with("/images/app:1/get") {
        true => Reply::bytes(200, sent.clone()),
        false => Reply::status(404, r#"{"message":"No such image"}"#),
    });
    let mut received = Vec::new();
    engine(&fake).save("app:1").unwrap().read_to_end(&mut received).unwrap();
    assert!(received == archive);
    assert_eq!(engine(&fake).save("x").map(drop).unwrap_err().kind(), ErrorKind::NotFound);
    let cut = always(|| Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc"));
    let error = engine(&cut).save("app:1").unwrap().read_to_end(&mut Vec::new()).unwrap_err();
    unavailable(&error.downcast().unwrap(), "the response to /images/app:1/get ends early");
}

/// The engine never responds, or never ends: only a cancelled run ends the request.
#[test]
fn a_cancelled_run_ends_each_request() {
    let begin = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n";
    type Request = fn(&Engine) -> Error;
    let requests: [(&'static str, Request); 3] = [
        ("", |engine| engine.keeps().unwrap_err()),
        ("", |engine| engine.load(&mut io::empty()).unwrap_err()),
        (begin, |engine| {
            // It may be cancelled before the response began.
            let read = |mut archive: Box<dyn Read>| Ok(archive.read_to_end(&mut Vec::new())?);
            engine.save("app").and_then(|archive| read(Box::new(archive))).unwrap_err()
        }),
    ];
    for (response, request) in requests {
        let (asked, was_asked) = mpsc::channel();
        let fake = Fake::start(move |_| {
            asked.send(()).unwrap();
            Reply::raw(response).and_waits()
        });
        let cancel = Cancel::default();
        let engine = Engine::new(fake.endpoint(), &cancel);
        let error = thread::scope(|scope| {
            let asking = scope.spawn(|| request(&engine));
            was_asked.recv().unwrap();
            cancel.cancel();
            asking.join().unwrap()
        });
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{}", error.with_causes());
        assert_eq!(engine.keeps().unwrap_err().kind(), ErrorKind::Cancelled);
    }
}
