//! Every command that writes.

/// A command, what it starts from, and what it makes.
pub struct Scenario {
    pub name: &'static str,
    /// The commands whose results it starts from, in a directory with `tree`, `other` and, for the store, `store`.
    pub before: &'static [&'static str],
    pub command: &'static str,
    /// Files and directories that it makes or replaces, each in one step.
    pub products: &'static [&'static str],
    /// An OCI layout that it adds to.
    pub layout: Option<&'static str>,
    /// An existing directory that it fills: in part, if it is killed.
    pub filled: Option<&'static str>,
    /// The command that is run first, in a registry of its own: `REGISTRY` stands for its host.
    pub pushed: Option<&'static str>,
}

/// A scenario that makes nothing but what is in the store.
const NOTHING: Scenario =
    Scenario { name: "", before: &[], command: "", products: &[], layout: None, filled: None, pushed: None };

const IMAGE: &str = "export rootfs:tree -o type=image,name=app:1";

/// Every command that writes.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "export to an archive that is there",
        before: &["export rootfs:tree --no-store -o type=oci,name=app:1,dest=out.tar"],
        command: "export rootfs:other --no-store -o type=oci,name=app:2,dest=out.tar",
        products: &["out.tar"],
        ..NOTHING
    },
    Scenario {
        name: "export to a new archive, through the store",
        before: &[IMAGE],
        command: "export rootfs:other -o type=docker,name=app:2,dest=out.tar",
        products: &["out.tar"],
        ..NOTHING
    },
    Scenario {
        name: "export to two outputs",
        before: &[IMAGE],
        command: "export rootfs:other -o type=docker,name=app:2,dest=out.tar -o type=image,name=app:2",
        products: &["out.tar"],
        ..NOTHING
    },
    Scenario {
        name: "export to a layout that is there",
        before: &["export rootfs:tree --no-store -o type=oci,name=app:1,tar=false,dest=layout"],
        command: "export rootfs:other --no-store -o type=oci,name=app:2,tar=false,dest=layout",
        layout: Some("layout"),
        ..NOTHING
    },
    Scenario {
        name: "export to a new layout",
        before: &[],
        command: "export rootfs:other --no-store -o type=oci,name=app:2,tar=false,dest=layout",
        layout: Some("layout"),
        ..NOTHING
    },
    Scenario {
        name: "export to the store",
        before: &[IMAGE],
        command: "export rootfs:other -o type=image,name=app:1",
        ..NOTHING
    },
    Scenario {
        name: "export to a new store",
        before: &[],
        command: "export rootfs:other -o type=image,name=app:2",
        ..NOTHING
    },
    Scenario {
        name: "import",
        before: &[IMAGE, "export rootfs:other --no-store -o type=oci,name=app:2,dest=in.tar"],
        command: "import in.tar",
        ..NOTHING
    },
    Scenario { name: "save", before: &[IMAGE], command: "save app:1 -o out.tar", products: &["out.tar"], ..NOTHING },
    Scenario {
        name: "unpack to a directory",
        before: &[IMAGE],
        command: "unpack app:1 --to root",
        products: &["root"],
        ..NOTHING
    },
    Scenario { name: "unpack", before: &[IMAGE], command: "unpack app:1", ..NOTHING },
    Scenario { name: "tag", before: &[IMAGE], command: "tag app:1 app:2 app:3", ..NOTHING },
    Scenario { name: "rm", before: &[IMAGE], command: "rm app:1", ..NOTHING },
    Scenario { name: "prune", before: &[IMAGE, "rm app:1"], command: "prune", ..NOTHING },
    Scenario {
        name: "export with files about it",
        before: &["export rootfs:tree --no-store -o type=oci,name=app:1,dest=out.tar --metadata-file=meta.json"],
        command: "export rootfs:other --no-store -o type=oci,name=app:2,dest=out.tar --metadata-file=meta.json --iidfile=id",
        products: &["out.tar", "meta.json", "id"],
        ..NOTHING
    },
    Scenario {
        name: "export to an archive of Docker 24",
        before: &[IMAGE],
        command: "export image:app:1 -o type=docker,format=legacy,name=app:2,dest=out.tar",
        products: &["out.tar"],
        ..NOTHING
    },
    Scenario {
        name: "push",
        pushed: Some("export rootfs:tree --no-store -o type=registry,name=REGISTRY/app:1"),
        command: "export rootfs:other --no-store -o type=registry,name=REGISTRY/app:1",
        ..NOTHING
    },
    Scenario {
        name: "unpack to an empty directory",
        before: &[IMAGE],
        command: "unpack app:1 --to empty",
        filled: Some("empty"),
        ..NOTHING
    },
    Scenario {
        name: "export of files to a new directory",
        command: "export rootfs:other --no-store -o type=local,dest=files",
        products: &["files"],
        ..NOTHING
    },
    Scenario {
        name: "export of files in place of others",
        before: &["export rootfs:tree --layer tree:/stale --no-store -o type=local,dest=files"],
        command: "export rootfs:other --no-store -o type=local,dest=files,mode=delete,allow-delete=true",
        products: &["files/large", "files/link", "files/a/b/small", "files/stale/large", "files/stale/a/b/small"],
        ..NOTHING
    },
    Scenario {
        name: "prune all but what was made",
        before: &[IMAGE, "export rootfs:other -o type=docker,name=app:2,dest=out.tar", "rm app:1"],
        command: "prune --keep-storage=1MB",
        ..NOTHING
    },
];
