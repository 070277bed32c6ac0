//! What people type by reflex: it works, or its error names the command that does; and docs/coming-from.md.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use std::path::Path;
use std::process::{Command, Output};

use longshore_testkit::docker::{DockerRoot, GraphDriver};
use longshore_testkit::registry::Registry;
use run::Workdir;

fn workdir(registry: &Registry) -> Workdir {
    let work = Workdir::new();
    for file in ["tree/bin/app", "amd/bin/app", "arm/bin/app", "etc/app.conf"] {
        work.write(file, file);
    }
    for tag in ["1", "latest"] {
        work.ok(&["export", "./tree", "-o", &format!("type=registry,name={}/app:{tag}", registry.host())]);
    }
    work
}

/// Runs a line in a shell, with `localhost:5000` for the registry.
fn shell(work: &Workdir, registry: &Registry, line: &str) -> Output {
    let binary = Path::new(env!("CARGO_BIN_EXE_longshore")).parent().unwrap().to_owned();
    let others = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths([binary].into_iter().chain(std::env::split_paths(&others))).unwrap();
    let line = line.replace("localhost:5000", registry.host());
    let mut command = Command::new("sh");
    command.args(["-euc", &line]).current_dir(work.root()).env("PATH", path).env("LONGSHORE_ROOT", work.store());
    command.env("HOME", work.path("home")).env("DOCKER_CONFIG", work.path("home")).stdin(std::process::Stdio::null());
    // There is no engine.
    command.env("DOCKER_HOST", format!("unix://{}", work.path("docker.sock").display()));
    command.output().unwrap()
}

/// The commands in the last column of the tables of a page, and whether they need somebody to type a password.
fn commands(page: &str) -> Vec<String> {
    let rows = page.lines().filter(|line| line.starts_with('|')).map(|line| line.replace("\\|", "\u{1}"));
    let cells = rows.filter_map(|row| row.trim_end_matches(['|', ' ']).rsplit('|').next().map(str::to_owned));
    let commands =
        cells.filter_map(|cell| Some(cell.trim().strip_prefix("`longshore ")?.split('`').next()?.to_owned()));
    commands.map(|command| format!("longshore {}", command.replace('\u{1}', "|"))).collect()
}

#[test]
fn each_command_of_the_page_runs() {
    let registry = Registry::start();
    let work = workdir(&registry);
    let docker = DockerRoot::new(&work.path("docker"), GraphDriver::Overlay2);
    let mut tar = longshore_core::archive::Writer::new(Vec::new());
    tar.append(&longshore_core::archive::Entry::file("bin/app", 0o755, 3), &mut &b"app"[..]).unwrap();
    docker.tag("app:1", &docker.build(&[tar.finish().unwrap()]).id);
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/coming-from.md");
    let all = commands(&std::fs::read_to_string(page).unwrap());
    assert!(all.len() > 45, "{}", all.len());
    for line in all.iter().filter(|line| !line.starts_with("longshore login")) {
        let line = line.replace("--from docker-graph ", "--from docker-graph:./docker ");
        let output = shell(&work, &registry, &line);
        assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Lines as their users know them, with the program's name in place of their own; and what an error has to name, or
/// nothing for a line that works.
const REFLEXES: [(&str, &str); 65] = [
    ("pull localhost:5000/app:1", ""),
    ("pull localhost:5000/app", ""),
    ("pull docker://localhost:5000/app:1", ""),
    ("pull -q localhost:5000/app:1", ""),
    ("pull --platform linux/amd64 localhost:5000/app:1", ""),
    ("images", ""),
    ("images -q", ""),
    ("images --digests", "longshore images --json"),
    ("image ls", "longshore images"),
    ("image inspect app:1", "`inspect`"),
    ("inspect localhost:5000/app:1", ""),
    ("inspect docker://localhost:5000/app:1", ""),
    ("inspect --raw docker://localhost:5000/app:1", ""),
    ("inspect --config docker://localhost:5000/app:1", ""),
    ("inspect --format '{{.Digest}}' docker://localhost:5000/app:1", "--json"),
    ("inspect other.example/app:1", "docker://other.example/app:1"),
    ("history localhost:5000/app:1", "longshore inspect SOURCE"),
    ("tag localhost:5000/app:1 localhost:5000/app:2", ""),
    ("push localhost:5000/app:2", ""),
    ("push --all-tags localhost:5000/app", ""),
    ("push localhost:5000/app:2 docker://localhost:5000/b:1", ""),
    ("save localhost:5000/app:1 -o app.tar", ""),
    ("save -o app.tar localhost:5000/app:1", ""),
    ("save localhost:5000/app:1 > x.tar", ""),
    ("load -i app.tar", ""),
    ("load < app.tar", ""),
    ("import app.tar", ""),
    ("copy docker://localhost:5000/app:1 docker://localhost:5000/c:1", ""),
    ("copy docker://localhost:5000/app:1 oci:layout:app:1", ""),
    ("copy docker://localhost:5000/app:1 oci-archive:o.tar", ""),
    ("copy docker://localhost:5000/app:1 docker-archive:d.tar:app:1", ""),
    ("copy docker://localhost:5000/app:1 dir:plain", "oci:plain"),
    ("copy docker://localhost:5000/app:1 docker-daemon:app:1", "cannot connect to the Docker Engine"),
    ("copy docker://localhost:5000/app:1 containerd:app:1", "--store containerd: SOURCE image:app:1"),
    ("copy docker://localhost:5000/app:1 localhost:5000/d:1", "docker://"),
    ("copy --all docker://localhost:5000/app:1 docker://localhost:5000/e:1", ""),
    ("copy --src-tls-verify=false docker://localhost:5000/app:1 oci:x", "insecure=true"),
    ("cp localhost:5000/app:1 localhost:5000/app:3", "longshore copy SRC DST"),
    ("sync --src docker a b", "longshore copy SRC DST"),
    ("list-tags docker://localhost:5000/app", "longshore ls"),
    ("ls localhost:5000/app", ""),
    ("tags localhost:5000/app", "longshore ls"),
    ("digest docker://localhost:5000/app:1", ""),
    ("manifest docker://localhost:5000/app:1", "longshore inspect --raw SOURCE"),
    ("config docker://localhost:5000/app:1", "`--config`"),
    ("validate --remote localhost:5000/app:1", "longshore verify SOURCE"),
    ("verify docker://localhost:5000/app:1", ""),
    ("delete docker://localhost:5000/c:1", "--yes"),
    ("delete --yes docker://localhost:5000/c:1", ""),
    ("export docker://localhost:5000/app:1 -o - | tar -t", ""),
    ("export . -o type=oci,dest=/dev/null", ""),
    ("export ./tree -o out", ""),
    ("export ./tree -o out.tar", "type=oci,dest=out.tar"),
    ("export ./tree -o docker://localhost:5000/f:1", "type=registry,name="),
    ("export ./tree --push -t localhost:5000/f:1", "-o type=registry,name=NAME"),
    ("export ./tree --chown 0:0 -o out", "--owner UID:GID"),
    ("export app.tar -o type=oci,name=a:1,b:1,dest=y.tar", "\"name=a,b\""),
    ("append -f etc.tar -b app:1", "--layer DIR"),
    ("mutate app:1 --entrypoint /x", "--env KEY=VALUE"),
    ("run --rm -it debian", "longshore unpack NAME --to DIR"),
    ("build -t app .", "longshore export rootfs:DIR"),
    ("unpack --image layout bundle", "oci:DIR:NAME"),
    ("unpack docker://localhost:5000/app:1 --to files", ""),
    ("rmi localhost:5000/app:2", ""),
    ("system prune", "longshore prune"),
];

#[test]
fn what_is_typed_by_reflex_works_or_is_told_what_does() {
    let registry = Registry::start();
    let work = workdir(&registry);
    for (line, expected) in REFLEXES {
        let output = shell(&work, &registry, &format!("longshore {line}"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), expected.is_empty(), "{line}\n{stderr}");
        assert!(stderr.contains(expected), "{line}: {expected}\n{stderr}");
    }
}
