//! Under which name the calling crate knows ringway.
//!
//! A macro by example would write `$crate`; an attribute has nothing like it, and the name of its
//! crate as the caller sees it is the caller's choice: `tokio = { package = "ringway" }` makes it
//! `tokio`. So the caller's manifest is read, which cargo names in the environment of the compiler.
//! Where there is no manifest (another build system) or no entry (ringway comes by way of another
//! crate), the answer is ringway's own name, and `crate = "…"` is the way to say otherwise.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::toml::{Scalar, for_each_entry};

/// The package whose attributes these are, and its library's name.
const PACKAGE: &str = "ringway";

/// The name of ringway in the crate that is being compiled.
pub(crate) fn facade_name() -> String {
    let path = env::var_os("CARGO_MANIFEST_PATH")
        .map(PathBuf::from)
        .or_else(|| {
            let folder = env::var_os("CARGO_MANIFEST_DIR")?;
            Some(Path::new(&folder).join("Cargo.toml"))
        });
    // Cargo compiles every build script under this name.
    let for_build_script =
        env::var("CARGO_CRATE_NAME").is_ok_and(|name| name == "build_script_build");
    path.and_then(|path| name_in_manifest(&path, for_build_script))
        .unwrap_or_else(|| PACKAGE.to_owned())
}

fn name_in_manifest(path: &Path, for_build_script: bool) -> Option<String> {
    let manifest = Manifest::read(path)?;
    if manifest.is_facade {
        return Some(PACKAGE.to_owned());
    }
    let tables = if for_build_script {
        [Table::Build, Table::Normal, Table::Dev]
    } else {
        [Table::Normal, Table::Dev, Table::Build]
    };
    let workspace = || manifest.workspace(path);
    tables
        .into_iter()
        .find_map(|table| manifest.name_in(table, &workspace))
}

/// What a manifest says that matters here.
#[derive(Default)]
struct Manifest {
    /// This is ringway's own package: its tests and examples know it by its own name.
    is_facade: bool,
    /// `package.workspace`
    workspace_folder: Option<String>,
    is_workspace: bool,
    dependencies: Vec<Dependency>,
}

/// An entry of a table of dependencies.
struct Dependency {
    table: Table,
    name: String,
    package: Option<String>,
    inherits: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Table {
    Normal,
    Dev,
    Build,
    Workspace,
}

impl Manifest {
    fn read(path: &Path) -> Option<Manifest> {
        Some(Manifest::parse(&fs::read_to_string(path).ok()?))
    }

    fn parse(document: &str) -> Manifest {
        let mut manifest = Manifest::default();
        for_each_entry(document, |key, value| manifest.add(key, value));
        manifest
    }

    fn add(&mut self, key: &[String], value: &Scalar) {
        let words: Vec<&str> = key.iter().map(String::as_str).collect();
        self.is_workspace |= words[0] == "workspace";
        match (&words[..], value) {
            (["package", "name"], Scalar::Text(name)) => self.is_facade = name == PACKAGE,
            (["package", "workspace"], Scalar::Text(folder)) => {
                self.workspace_folder = Some(folder.clone());
            }
            (["workspace", "dependencies", name, field @ ..], _) => {
                self.add_dependency(Table::Workspace, name, field, value);
            }
            (["target", _, table, name, field @ ..] | [table, name, field @ ..], _) => {
                let table = match *table {
                    "dependencies" => Table::Normal,
                    "dev-dependencies" | "dev_dependencies" => Table::Dev,
                    "build-dependencies" | "build_dependencies" => Table::Build,
                    _ => return,
                };
                self.add_dependency(table, name, field, value);
            }
            _ => (),
        }
    }

    fn add_dependency(&mut self, table: Table, name: &str, field: &[&str], value: &Scalar) {
        let known = self
            .dependencies
            .iter()
            .position(|it| it.table == table && it.name == name);
        let index = known.unwrap_or_else(|| {
            let name = name.to_owned();
            self.dependencies.push(Dependency {
                table,
                name,
                package: None,
                inherits: false,
            });
            self.dependencies.len() - 1
        });
        let dependency = &mut self.dependencies[index];
        match (field, value) {
            (["package"], Scalar::Text(package)) => dependency.package = Some(package.clone()),
            (["workspace"], Scalar::Bool(inherits)) => dependency.inherits = *inherits,
            _ => (),
        }
    }

    /// The name of ringway in `table`. Its own name goes before a new one.
    fn name_in(&self, table: Table, workspace: &dyn Fn() -> Option<Manifest>) -> Option<String> {
        let mut names: Vec<&str> = self
            .dependencies
            .iter()
            .filter(|it| it.table == table && it.is_facade(workspace))
            .map(|it| it.name.as_str())
            .collect();
        names.sort_by_key(|name| *name != PACKAGE);
        Some(names.first()?.replace('-', "_"))
    }

    /// The manifest from which this one, at `path`, inherits.
    fn workspace(&self, path: &Path) -> Option<Manifest> {
        let folder = path.parent()?;
        if self.is_workspace {
            return Manifest::read(path);
        }
        if let Some(workspace) = &self.workspace_folder {
            return Manifest::read(&folder.join(workspace).join("Cargo.toml"));
        }
        let roots = folder.ancestors().skip(1);
        roots
            .filter_map(|it| Manifest::read(&it.join("Cargo.toml")))
            .find(|it| it.is_workspace)
    }
}

impl Dependency {
    fn is_facade(&self, workspace: &dyn Fn() -> Option<Manifest>) -> bool {
        if !self.inherits {
            return self.package.as_deref().unwrap_or(&self.name) == PACKAGE;
        }
        workspace().is_some_and(|workspace| {
            let mut shared = workspace.dependencies.iter();
            shared.any(|it| {
                it.table == Table::Workspace && it.name == self.name && it.is_facade(&|| None)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(document: &str) -> Option<String> {
        let manifest = Manifest::parse(document);
        assert!(!manifest.is_facade);
        let order = [Table::Normal, Table::Dev, Table::Build];
        order
            .into_iter()
            .find_map(|table| manifest.name_in(table, &|| None))
    }

    #[test]
    fn a_plain_dependency_has_its_own_name() {
        assert_eq!(name("[dependencies]\nringway = '0.1'").unwrap(), "ringway");
        assert_eq!(
            name("[dependencies]\nringway.path = '..'").unwrap(),
            "ringway"
        );
        assert_eq!(
            name("[dev-dependencies.ringway]\nfeatures = ['full']").unwrap(),
            "ringway"
        );
        assert_eq!(
            name("[target.'cfg(unix)'.dependencies]\nringway = '1'").unwrap(),
            "ringway"
        );
    }

    #[test]
    fn a_renamed_dependency_has_its_new_name() {
        let renamed = "tokio = { package = \"ringway\", version = \"0.1\" }";
        assert_eq!(
            name(&format!("[dependencies]\n{renamed}")).unwrap(),
            "tokio"
        );
        assert_eq!(
            name(&format!("[target.x.build-dependencies]\n{renamed}")).unwrap(),
            "tokio"
        );
        assert_eq!(
            name("[dependencies]\nmy-ring.package = 'ringway'").unwrap(),
            "my_ring"
        );
    }

    #[test]
    fn another_package_under_our_name_is_not_ours() {
        assert_eq!(
            name("[dependencies]\nringway = { package = 'other' }\ntokio = '1'"),
            None
        );
        assert_eq!(name(""), None);
    }

    #[test]
    fn what_library_code_can_see_goes_before_what_only_tests_can_see() {
        let document =
            "[dev-dependencies]\nringway = '1'\n[dependencies]\ntokio = { package = 'ringway' }";
        assert_eq!(name(document).unwrap(), "tokio");
        let document = "[dependencies]\nringway = '1'\ntokio = { package = 'ringway' }";
        assert_eq!(name(document).unwrap(), "ringway");
    }

    fn in_files(files: &[(&str, &str)], manifest: &str, for_build_script: bool) -> Option<String> {
        let folder = env::temp_dir().join(format!(
            "ringway-macros-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        for (path, text) in files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let found = name_in_manifest(&folder.join(manifest), for_build_script);
        fs::remove_dir_all(&folder).unwrap();
        found
    }

    #[test]
    fn an_inherited_dependency_has_the_name_that_the_workspace_gives_it() {
        let root = (
            "Cargo.toml",
            "[workspace]\nmembers = ['a']\n[workspace.dependencies]\ntokio = { package = 'ringway' }",
        );
        let member = "[package]\nname = 'a'\n[dependencies]\ntokio.workspace = true\n";
        let files = [root, ("a/b/Cargo.toml", member)];
        assert_eq!(in_files(&files, "a/b/Cargo.toml", false).unwrap(), "tokio");

        let elsewhere =
            "[package]\nname = 'a'\nworkspace = '../..'\n[dependencies.tokio]\nworkspace = true\n";
        let files = [root, ("a/b/Cargo.toml", elsewhere)];
        assert_eq!(in_files(&files, "a/b/Cargo.toml", false).unwrap(), "tokio");

        let both = format!("{}\n{member}", root.1);
        assert_eq!(
            in_files(&[("Cargo.toml", &both)], "Cargo.toml", false).unwrap(),
            "tokio"
        );
    }

    #[test]
    fn a_workspace_that_means_another_package_gives_no_name() {
        let root = ("Cargo.toml", "[workspace.dependencies]\ntokio = '1'\n");
        let member = (
            "a/Cargo.toml",
            "[dependencies]\ntokio = { workspace = true }\n",
        );
        assert_eq!(in_files(&[root, member], "a/Cargo.toml", false), None);
    }

    #[test]
    fn a_build_script_sees_the_build_dependencies() {
        let document =
            "[dependencies]\nringway = '1'\n[build-dependencies]\ntokio = { package = 'ringway' }";
        let files = [("Cargo.toml", document)];
        assert_eq!(in_files(&files, "Cargo.toml", true).unwrap(), "tokio");
        assert_eq!(in_files(&files, "Cargo.toml", false).unwrap(), "ringway");
    }

    #[test]
    fn ringways_own_tests_and_examples_know_it_by_its_own_name() {
        let document = "[package]\nname = 'ringway'\n[dependencies]\ntokio = '1'";
        assert_eq!(
            in_files(&[("Cargo.toml", document)], "Cargo.toml", false).unwrap(),
            "ringway"
        );
    }
}
