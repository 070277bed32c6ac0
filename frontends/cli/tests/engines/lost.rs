//! Engines that lose layers between the question and the archive.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use longshore_testkit::sample::Random;
use serde_json::Value;

use super::machine::{BASE, Machine};
use super::proxy::Proxy;
use crate::interop::command::run;

/// The base is removed when the archive without it is about to be sent, and then the image when it is to be named.
pub(crate) fn what_is_lost_meanwhile_is_sent_again(machine: &Machine) {
    machine.export(&["rootfs:base", "-o", "type=docker,name=base:1"]);
    // Whatever else has the layer of the base.
    let others = machine.ids();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let mut remover = machine.remover(&others);
    let proxy = Proxy::before("POST /images/load", &machine.host(), move || {
        assert!(remover.stdout(Stdio::null()).status().unwrap().success());
    });
    let output = through(machine, &proxy, "three", "lost:1");
    let sent = &output["transfer"]["sent"];
    assert!(sent["bytes"].as_u64().unwrap() > BASE && sent["layers"] == 2, "{:?}: {output}", machine.kind);
    assert_eq!(output["transfer"]["present"]["layers"], 0, "{output}");
    machine.assert_tree("lost:1", &["base", "three"]);
    assert_eq!(machine.ids(), [machine.id("lost:1")]);

    let id = machine.expected_id(&output);
    let mut remover = machine.remover(&[&id]);
    let proxy = Proxy::before("POST /images/sha256", &machine.host(), move || {
        assert!(remover.stdout(Stdio::null()).status().unwrap().success());
    });
    let output = through(machine, &proxy, "three", "lost:2");
    assert_eq!(output["transfer"]["sent"]["layers"], 2, "{output}");
    machine.assert_tree("lost:2", &["base", "three"]);
    assert_eq!(machine.ids(), [machine.id("lost:2")]);
}

fn through(machine: &Machine, proxy: &Proxy, layer: &str, name: &str) -> Value {
    let output = format!("type=docker,name={name}");
    let mut command = machine.longshore(&["export", "--progress=quiet", "--metadata-file=lost.json", "rootfs:base"]);
    run(command.args(["--layer", layer, "-o", &output]).env("DOCKER_HOST", proxy.host()));
    let metadata: Value = serde_json::from_slice(&std::fs::read(machine.path("lost.json")).unwrap()).unwrap();
    metadata["longshore.outputs"][0].clone()
}

/// Each round loads a layer over a base that another process removes at some moment of it.
pub(crate) fn removals_break_no_image(machine: &Machine) {
    let rounds: u32 = std::env::var("LONGSHORE_ENGINE_ROUNDS").map_or(40, |rounds| rounds.parse().unwrap());
    let mut random = Random::new(5);
    let (mut whole, mut part) = (0, 0);
    for round in 0..rounds {
        let layer = format!("round-{round}");
        machine.write_layer(&layer);
        machine.export(&["rootfs:base", "-o", "type=docker,name=base:1"]);
        // Before the first there is none.
        let previous = format!("round:{}", i64::from(round) - 1).replace(":-1", ":none");
        let delay = Duration::from_millis(random.bytes(1)[0].into());
        let loaded = thread::scope(|scope| {
            let mut remover = machine.remover(&["base:1", &previous]);
            scope.spawn(move || {
                thread::sleep(delay);
                // What is not there cannot be removed.
                let _ = remover.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
            });
            let output = format!("type=docker,name=round:{round}");
            machine.export(&["rootfs:base", "--layer", &layer, "-o", &output])
        });
        *if loaded["transfer"]["present"]["layers"] == 0 { &mut whole } else { &mut part } += 1;
        let name = format!("round:{round}");
        assert_eq!(machine.id(&name), machine.expected_id(&loaded));
        machine.assert_tree(&name, &["base", &layer]);
        run(&mut machine.longshore(&["verify", &format!("docker-daemon:{name}")]));
        // Nothing of rounds before is left over, and so no broken image.
        assert!(machine.ids().len() <= 2, "{:?}", machine.ids());
    }
    println!("{rounds} rounds: {part} sent in part, {whole} whole");
}
