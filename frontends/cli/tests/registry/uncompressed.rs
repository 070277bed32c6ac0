//! Layers that are pushed without compression, which nobody asked for.

use longshore_testkit::registry::Registry;

use super::machine::Machine;

fn warnings(said: &str) -> Vec<&str> {
    said.lines().filter(|line| line.contains("pushed uncompressed")).collect()
}

/// An archive of `docker save` was pushed as large as it is, in silence.
#[test]
fn uncompressed_layers_that_are_pushed_are_said_with_their_size() {
    let machine = Machine::new();
    let registry = Registry::start();
    let options = "compression=uncompressed,name=app:1,dest=plain.tar";
    machine.export(&["rootfs:tree", "--layer", "etc:/etc", "-o", &format!("type=docker,{options}")]);
    let sizes = String::from_utf8(machine.work.ok(&["inspect", "--json", "docker-archive:plain.tar"]).stdout).unwrap();
    let sizes: serde_json::Value = serde_json::from_str(&sizes).unwrap();
    let layers = sizes[0]["image"]["manifests"][0]["layers"].as_array().unwrap();
    let bytes: u64 = layers.iter().map(|layer| layer["size"].as_u64().unwrap()).sum();
    assert!(layers.len() == 2 && bytes > 600_000, "{sizes}");
    let expected = format!(
        "warning: 2 layers are pushed uncompressed ({bytes} bytes): \
         compression=gzip,force-compression=true compresses them"
    );
    let name = |tag: &str| format!("name={}/app:{tag}", registry.host());
    for output in [
        format!("type=registry,{}", name("1")),
        format!("type=registry,{},compression=gzip", name("2")),
        format!("type=image,push=true,{}", name("3")),
    ] {
        let (ran, _) = machine.export(&["docker-archive:plain.tar", "-o", &output]);
        assert_eq!(warnings(&ran.stderr), [expected.as_str()], "{output}");
    }
    // Once a run, whatever number of registries.
    let two = [name("4"), name("5")].map(|name| format!("type=registry,{name}"));
    let (ran, _) = machine.export(&["docker-archive:plain.tar", "-o", &two[0], "-o", &two[1]]);
    assert_eq!(warnings(&ran.stderr).len(), 1, "{}", ran.stderr);
    for (source, options) in [
        ("docker-archive:plain.tar", "compression=gzip,force-compression=true"),
        ("docker-archive:plain.tar", "compression=uncompressed"),
        ("rootfs:tree", "compression=uncompressed"),
        ("rootfs:tree", "compression=zstd"),
    ] {
        let (ran, _) = machine.export(&[source, "-o", &format!("type=registry,{},{options}", name("6"))]);
        assert_eq!(warnings(&ran.stderr), [""; 0], "{source} {options}");
    }
}
