//! Many blobs, and many threads.

use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use longshore_content::Delivery;
use longshore_oci::{Descriptor, ErrorKind};
use longshore_testkit::registry::{Registry, Rule};

use crate::kit::*;

#[test]
fn threads_that_push_one_blob_send_it_once() {
    let (registry, kit, blob) = (Registry::start(), Kit::new(), noise(1_000_000));
    let all_begin = Barrier::new(8);
    let deliveries: Vec<Delivery> = thread::scope(|scope| {
        let push = || {
            all_begin.wait();
            kit.push(registry.host(), &blob).unwrap()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(push)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let present = deliveries.iter().filter(|delivery| **delivery == Delivery::Present).count();
    assert_eq!(present, 7, "{deliveries:?}");
    assert_blob(&registry, &blob);
    assert_eq!((count(&registry, "POST", UPLOADS), sent(&registry)), (1, 1_000_000));
}

#[test]
fn threads_that_push_one_blob_into_many_repositories_send_it_once() {
    let (registry, kit, blob) = (Registry::start(), Kit::new(), noise(1_000_000));
    thread::scope(|scope| {
        for number in 0..8 {
            let (kit, blob) = (&kit, &blob);
            let session = kit.session(registry.host(), &format!("team/app{number}"));
            scope.spawn(move || kit.push_to(&session, blob, &[]).unwrap());
        }
    });
    assert_eq!(sent(&registry), 1_000_000);
    let digest = kit.store.put(layer(), &blob).digest;
    assert!((0..8).all(|number| registry.blob(&format!("team/app{number}"), &digest).is_some()));
}

#[test]
fn a_blob_that_one_thread_could_not_send_is_sent_by_the_next() {
    let (registry, kit) = (Registry::start(), Kit::new());
    registry.fail(Rule::on("POST", UPLOADS).status(403));
    assert_eq!(kit.push(registry.host(), b"a blob").unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(kit.push(registry.host(), b"a blob").unwrap(), Delivery::Sent { resumed: 0 });
    assert_blob(&registry, b"a blob");
}

/// Counts the readers that are open, and how many were at most.
#[derive(Default)]
struct Open(AtomicUsize, AtomicUsize);

struct Counted(io::Cursor<Vec<u8>>, Arc<Open>);

impl Counted {
    fn new(reader: io::Cursor<Vec<u8>>, open: &Arc<Open>) -> Self {
        open.1.fetch_max(open.0.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        Self(reader, open.clone())
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn so_many_blobs_are_sent_at_a_time_and_no_more() {
    for jobs in [1, 2] {
        let (registry, kit, open) = (Registry::start(), Kit::with(options(LONG, jobs)), Arc::new(Open::default()));
        registry.fail(Rule::on("PUT", UPLOADS).delay(Duration::from_millis(100)).times(6));
        assert_eq!(kit.session(registry.host(), REPOSITORY).jobs().get(), jobs);
        thread::scope(|scope| {
            for size in 1000..1006 {
                let (kit, host, open) = (&kit, registry.host(), open.clone());
                scope.spawn(move || {
                    let blob = noise(size);
                    let descriptor = Descriptor::of(layer(), &blob);
                    let provider = Made(move |offset| Box::new(Counted::new(from(&blob, offset), &open)) as _);
                    kit.push_from(host, &descriptor, &provider, false).unwrap();
                });
            }
        });
        assert_eq!(open.1.load(Ordering::SeqCst), jobs);
        assert_eq!(count(&registry, "PUT", UPLOADS), 6);
    }
}

#[test]
fn a_blob_that_waits_for_its_turn_can_be_cancelled() {
    let (registry, kit) = (Registry::start(), Kit::with(options(LONG, 1)));
    registry.fail(Rule::on("PUT", UPLOADS).stall());
    let is_stalled = || count(&registry, "PUT", UPLOADS) == 1;
    kit.cancelled(is_stalled, || {
        thread::scope(|scope| {
            let threads = [noise(10), noise(20)].map(|blob| {
                let (kit, host) = (&kit, registry.host());
                scope.spawn(move || kit.push(host, &blob))
            });
            threads.map(|thread| thread.join().unwrap()).into_iter().collect::<Result<Vec<_>, _>>()
        })
    });
    assert_eq!(registry.open_uploads(), 0);
}

/// One thread has the only slot and wants the blob, the other one the other way round.
#[test]
fn a_stream_and_a_blob_that_are_the_same_do_not_wait_for_each_other() {
    let (registry, kit) = (Registry::start(), Arc::new(Kit::with(options(LONG, 1))));
    registry.fail(Rule::on("PUT", UPLOADS).delay(Duration::from_millis(500)));
    let (done, ended) = mpsc::channel();
    let begin = |work: fn(&Kit, &str)| {
        let (kit, host, done) = (kit.clone(), registry.host().to_owned(), done.clone());
        thread::spawn(move || {
            work(&kit, &host);
            let _ = done.send(());
        });
    };
    begin(|kit, host| drop(kit.stream(host, b"a layer")));
    until(|| count(&registry, "PUT", UPLOADS) == 1);
    begin(|kit, host| drop(kit.push(host, b"a layer")));
    let is_done = (0..2).all(|_| ended.recv_timeout(Duration::from_secs(15)).is_ok());
    kit.cancel.cancel();
    assert!(is_done, "each waits for the other");
    assert_blob(&registry, b"a layer");
}
