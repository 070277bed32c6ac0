//! Peers that neither answer nor end: each wait has a limit.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use longshore_distribution::Timeouts;
use longshore_oci::ErrorKind;
use longshore_testkit::registry::{Registry, Rule};

use crate::kit::*;

const FEW: Duration = Duration::from_millis(300);
const PAUSE: Duration = Duration::from_millis(100);

/// A client with limits that are reached within a second.
fn hasty() -> Kit {
    Kit::with(options(hasty_limits(), 4))
}

fn hasty_limits() -> Timeouts {
    let limits = LONG.with_idle(Duration::from_secs(2)).with_answer(FEW).with_commit(FEW);
    let limits = limits.with_error_body(FEW).with_interim(5);
    limits.with_slow(1000).with_slow_after(FEW).with_slow_finish(Duration::from_secs(2))
}

#[track_caller]
fn within<T>(most: Duration, work: impl FnOnce() -> T) -> T {
    let since = Instant::now();
    let done = work();
    assert!(since.elapsed() < most, "it took {:?}", since.elapsed());
    done
}

#[test]
fn a_head_that_drips_is_late_as_a_whole() {
    let registry = Registry::start();
    let (expected, _) = put_manifest(&registry, "1.0");
    // A byte each 100 ms is no silence, and no answer either.
    registry.fail(Rule::on("GET", "/manifests/").trickle_head(1, PAUSE));
    let kit = hasty();
    let found = within(Duration::from_secs(3), || kit.pull(registry.host()).resolve("1.0"));
    assert_eq!(found.unwrap(), expected);
    assert!(kit.notes.warnings()[0].contains("timed out waiting for a response"), "{:?}", kit.notes.warnings());
}

#[test]
fn the_body_of_an_error_is_not_waited_for() {
    let registry = Registry::start();
    let text = format!("sorry {}", "x".repeat(5000));
    registry.fail(Rule::on("GET", "/manifests/").status(403).body(&text).trickle(8, PAUSE));
    let error = within(Duration::from_secs(3), || hasty().pull(registry.host()).resolve("1.0")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.with_causes().contains("403: sorry"), "{}", error.with_causes());
}

#[test]
fn interim_responses_are_passed_over_up_to_a_number() {
    let hint = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\n";
    let go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    let go_on_with_date = "HTTP/1.1 100 Continue\r\nDate: Wed, 21 Oct 2015 07:28:00 GMT\r\n\r\n";
    for (text, times, is_fine) in
        [(hint, 5, true), (go_on, 5, true), (go_on_with_date, 2, true), (hint, 6, false), (go_on, u32::MAX, false)]
    {
        let registry = Registry::start();
        let blob = noise(5_000_000);
        registry.put_blob(REPOSITORY, &blob);
        registry.fail(Rule::on("GET", "/blobs/").interim(text, times, Duration::ZERO));
        let kit = Kit::with(options(LONG.with_interim(5), 4));
        let read =
            within(Duration::from_secs(5), || kit.read(&kit.pull(registry.host()), &kit.store.put(layer(), &blob)));
        match is_fine {
            true => assert!(read.unwrap() == blob, "{text} {times}"),
            false => {
                let said = read.unwrap_err().with_causes();
                assert!(said.contains("more than 5 interim responses"), "{said}");
                assert_eq!(count(&registry, "GET", "/blobs/"), 1);
            }
        }
    }
}

/// A body that was announced is sent once, whatever comes before the word to go on.
#[test]
fn interim_responses_before_an_upload_do_no_harm() {
    for text in [
        "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n",
        "HTTP/1.1 102 Processing\r\n\r\n",
        "HTTP/1.1 100 Continue\r\nVia: 1.1 proxy\r\n\r\n",
    ] {
        let (registry, blob, kit) = (Registry::start(), noise(6_000_000), Kit::new());
        registry.fail(Rule::on("PUT", UPLOADS).interim(text, 2, Duration::ZERO));
        registry.fail(Rule::on("POST", UPLOADS).interim(text, 1, Duration::ZERO));
        kit.push(registry.host(), &blob).unwrap();
        assert_blob(&registry, &blob);
        assert_eq!(sent(&registry), blob.len() as u64, "{text}");
        assert_eq!(kit.notes.warnings(), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn what_is_not_http_fails_with_the_first_answer() {
    for bytes in [
        &b"220 mail.example ESMTP\r\n"[..],
        b"\x16\x03\x01\x02\x00",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n<html>\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ] {
        let registry = Registry::start();
        put_manifest(&registry, "1.0");
        registry.fail(Rule::on("GET", "/manifests/").raw(bytes).times(1000));
        let kit = Kit::new();
        let error = within(Duration::from_secs(3), || kit.pull(registry.host()).resolve("1.0")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", error.with_causes());
        assert!(error.with_causes().contains("HTTP"), "{}", error.with_causes());
        assert_eq!(count(&registry, "GET", "/manifests/"), 1, "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_blob_that_is_taken_and_never_answered_is_not_sent_six_times() {
    for streams in [false, true] {
        let (registry, blob, kit) = (Registry::start(), noise(200_000), hasty());
        registry.fail(Rule::on("PUT", UPLOADS).delay(Duration::from_secs(5)).times(1000));
        registry.fail(Rule::on("HEAD", "/blobs/").status(404).times(1000));
        let pushed = within(Duration::from_secs(4), || match streams {
            true => kit.stream(registry.host(), &blob).map(drop),
            false => kit.push(registry.host(), &blob).map(drop),
        });
        let said = pushed.unwrap_err().with_causes();
        assert!(said.contains("accepted the blob and never responded"), "{said}");
        assert_eq!(count(&registry, "PUT", UPLOADS), 2);
    }
}

#[test]
fn the_time_for_the_end_of_an_upload_grows_with_it() {
    // The whole blob, or the last request of one in chunks, which is empty.
    for chunks in [false, true] {
        let builder = Registry::builder();
        let registry = if chunks { builder.chunk_min_length(1000) } else { builder }.start();
        registry.fail(Rule::on("PUT", UPLOADS).delay(Duration::from_millis(1200)));
        let kit = Kit::with(options(hasty_limits().with_commit_rate(50_000), 4));
        let blob = noise(100_000);
        kit.push(registry.host(), &blob).unwrap();
        assert_blob(&registry, &blob);
        assert_eq!(count(&registry, "PUT", UPLOADS), 1, "{chunks}");
        assert_eq!(kit.notes.warnings(), Vec::<String>::new());
    }
}

#[test]
fn a_body_that_drips_is_ended() {
    let registry = Registry::start();
    let blob = noise(100_000);
    put_manifest(&registry, "1.0");
    registry.put_blob(REPOSITORY, &blob);
    registry.fail(Rule::on("GET", "/manifests/").trickle(1, PAUSE).times(1000));
    registry.fail(Rule::on("GET", "/blobs/").trickle(10, PAUSE).times(1000));
    let kit = hasty();
    let repository = kit.pull(registry.host());
    let resolved = within(Duration::from_secs(2), || repository.resolve("1.0").map(drop));
    let read = within(Duration::from_secs(2), || kit.read(&repository, &kit.store.put(layer(), &blob)).map(drop));
    for ended in [resolved, read] {
        let error = ended.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.with_causes().contains("too slow to finish"), "{}", error.with_causes());
        assert!(error.is_retryable() && error.hint().is_some());
    }
}

#[test]
fn a_slow_body_that_ends_soon_is_reported_once() {
    let registry = Registry::start();
    let blob = noise(600);
    registry.put_blob(REPOSITORY, &blob);
    registry.fail(Rule::on("GET", "/blobs/").trickle(50, PAUSE));
    let kit = hasty();
    assert!(kit.read(&kit.pull(registry.host()), &kit.store.put(layer(), &blob)).unwrap() == blob);
    let warnings = kit.notes.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("which is slow"), "{warnings:?}");
}

#[test]
fn an_upload_that_is_taken_too_slowly_is_ended() {
    for streams in [false, true] {
        let (registry, blob) = (Registry::start(), noise(30_000_000));
        registry.fail(Rule::on("*", "upload-1").take_slowly(1000, PAUSE).times(1000));
        // More than the system buffers has to be slow.
        let limits = hasty_limits().with_slow(100_000_000).with_slow_finish(Duration::from_millis(1));
        let kit = Kit::with(options(limits, 4));
        let ended = within(Duration::from_secs(15), || match streams {
            true => kit.stream(registry.host(), &blob).map(drop),
            false => kit.push(registry.host(), &blob).map(drop),
        });
        let said = ended.unwrap_err().with_causes();
        let is_said =
            ["too slow to finish", "timed out waiting for a response"].iter().any(|words| said.contains(words));
        assert!(is_said, "{said}");
    }
}

/// Who makes the layer may take any time.
#[test]
fn a_slow_source_is_not_a_slow_registry() {
    let (registry, blob, kit) = (Registry::start(), noise(3000), hasty());
    let make = |out: &mut (dyn std::io::Write + Send)| {
        for piece in blob.chunks(500) {
            out.write_all(piece)?;
            std::thread::sleep(3 * PAUSE);
        }
        Ok(longshore_oci::Descriptor::of(layer(), &blob))
    };
    kit.session(registry.host(), REPOSITORY).stream("layer", &make, &kit.work()).unwrap().unwrap();
    assert_blob(&registry, &blob);
    assert_eq!(kit.notes.warnings(), Vec::<String>::new());
}

/// Responds to every request with `head`, and then repeats the same bytes with a pause before each.
fn dripping(head: &'static str, bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                let (mut request, mut byte) = (Vec::new(), [0]);
                while !request.ends_with(b"\r\n\r\n") {
                    match stream.read(&mut byte) {
                        Ok(1) => request.push(byte[0]),
                        _ => return,
                    }
                }
                let head: &[u8] = if request.starts_with(b"GET /v2/ ") {
                    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
                } else {
                    head.as_bytes()
                };
                let _ = stream.write_all(head);
                while head.ends_with(b"chunked\r\n\r\n") && stream.write_all(bytes).is_ok() {
                    std::thread::sleep(PAUSE / 2);
                }
            });
        }
    });
    host
}

/// Each read of the connection succeeded, and the body gave nothing: a chunk could last for days.
#[test]
fn what_frames_a_body_cannot_drip_for_ever() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for drip in [&b"0"[..], b"1;x=", b"0\r\nTrailer: 1\r\n", b"X-Trailer: 1\r\n"] {
        let kit = Kit::with(options(hasty_limits().with_idle(FEW), 4));
        let repository = kit.pull(&dripping(head, drip));
        let blob = kit.store.put(layer(), b"a blob");
        let read = within(Duration::from_secs(12), || kit.read(&repository, &blob).unwrap_err());
        assert_eq!(read.kind(), ErrorKind::Unavailable, "{}", read.with_causes());
    }
}

/// A registry without ranges sends all of it again, and the part that is passed over was not measured.
#[test]
fn a_part_that_is_sent_again_and_drips_is_ended() {
    let registry = Registry::start();
    let blob = noise(100_000);
    registry.put_blob(REPOSITORY, &blob);
    registry.fail(Rule::on("GET", "/blobs/").drop_after_response_bytes(50_000));
    registry.fail(Rule::on("GET", "/blobs/").ignore_range().trickle(10, PAUSE).times(1000));
    let kit = hasty();
    let repository = kit.pull(registry.host());
    let read = within(Duration::from_secs(3), || kit.read(&repository, &kit.store.put(layer(), &blob)).unwrap_err());
    assert!(read.with_causes().contains("too slow to finish"), "{}", read.with_causes());
}
