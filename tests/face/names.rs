//! What of a crate can be named from outside: its public modules are walked, and imports followed to where a name is
//! defined.

use std::collections::BTreeMap;

use crate::sources::{Face, Kind, ModuleId, Sources};

/// Imports that lead to one another are followed so far.
const STEPS_MAX: usize = 16;

/// What a name leads to.
#[derive(Clone)]
enum Found {
    Module(ModuleId),
    /// A name that this module defines.
    Item(ModuleId, String, Kind),
    /// A name of another crate.
    Foreign,
}

/// The face of a crate.
pub(crate) fn face(sources: &Sources) -> Face {
    let mut face = Face::default();
    let mut walk = Walk {
        sources,
        methods: methods(sources),
        face: &mut face,
    };
    walk.module(0, "", 0);
    face
}

/// The public methods of each type, by the module that defines it and its name.
fn methods(sources: &Sources) -> BTreeMap<(ModuleId, String), Vec<String>> {
    let mut methods: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for (id, module) in sources.modules.iter().enumerate() {
        for (of, names) in &module.methods {
            if let Some(Found::Item(home, name, _)) = resolve(sources, id, of, 0) {
                methods
                    .entry((home, name))
                    .or_default()
                    .extend(names.iter().cloned());
            }
        }
    }
    methods
}

struct Walk<'a> {
    sources: &'a Sources,
    methods: BTreeMap<(ModuleId, String), Vec<String>>,
    face: &'a mut Face,
}

impl Walk<'_> {
    /// Enters what module `id`, which is called `path` from outside, makes public.
    fn module(&mut self, id: ModuleId, path: &str, depth: usize) {
        assert!(depth < STEPS_MAX, "modules in one another: {path}");
        for (name, found) in public_names(self.sources, id, 0) {
            let path = if path.is_empty() {
                name
            } else {
                format!("{path}::{name}")
            };
            match found {
                Found::Module(inner) => {
                    self.face.names.insert(path.clone(), Kind::Module(inner));
                    self.module(inner, &path, depth + 1);
                }
                Found::Item(home, name, kind) => {
                    if let Some(methods) = self.methods.get(&(home, name)) {
                        self.face.methods.insert(path.clone(), methods.clone());
                    }
                    self.face.names.insert(path, kind);
                }
                Found::Foreign => {
                    self.face.names.insert(path, Kind::Other);
                }
            }
        }
    }
}

/// The public names in a module, and what they lead to.
fn public_names(sources: &Sources, id: ModuleId, steps: usize) -> Vec<(String, Found)> {
    let module = &sources.modules[id];
    let mut names = Vec::new();
    for definition in module
        .definitions
        .iter()
        .filter(|definition| definition.is_public)
    {
        names.push((
            definition.name.clone(),
            found(id, &definition.name, &definition.kind),
        ));
    }
    for import in module.uses.iter().filter(|import| import.is_public) {
        let target = resolve(sources, id, &import.target, steps + 1);
        match (import.name.as_str(), target) {
            ("_", _) => {}
            ("*", Some(Found::Module(all))) => names.extend(public_names(sources, all, steps + 1)),
            ("*", _) => panic!("everything of another crate: {:?}", import.target),
            (name, Some(target)) => names.push((name.to_owned(), target)),
            // What it names is not there with these features, as a macro's private import may be.
            (name, None) => panic!("`{name}` leads nowhere: {:?}", import.target),
        }
    }
    names
}

fn found(module: ModuleId, name: &str, kind: &Kind) -> Found {
    match kind {
        Kind::Module(inner) => Found::Module(*inner),
        kind => Found::Item(module, name.to_owned(), kind.clone()),
    }
}

/// Follows a path from where it is written.
fn resolve(sources: &Sources, from: ModuleId, path: &[String], steps: usize) -> Option<Found> {
    let (first, rest) = path.split_first()?;
    let start = match first.as_str() {
        "crate" => Found::Module(0),
        "self" => Found::Module(from),
        "super" => Found::Module(sources.modules[from].parent?),
        // What the module does not know is another crate.
        name => look_up(sources, from, name, !rest.is_empty(), steps).unwrap_or(Found::Foreign),
    };
    let last = rest.len();
    let mut at = start;
    for (step, name) in rest.iter().enumerate() {
        at = match at {
            Found::Module(id) if name == "super" => Found::Module(sources.modules[id].parent?),
            Found::Module(id) => look_up(sources, id, name, step + 1 < last, steps)?,
            Found::Foreign => Found::Foreign,
            Found::Item(..) => return None,
        };
    }
    Some(at)
}

/// A name in a module, whether or not it is public. A module may be called as a function beside it: the one is meant
/// where a path goes on, the other at its end.
fn look_up(
    sources: &Sources,
    id: ModuleId,
    name: &str,
    goes_on: bool,
    steps: usize,
) -> Option<Found> {
    if steps > STEPS_MAX {
        return None;
    }
    let module = &sources.modules[id];
    let defined = module.definitions.iter().filter(|it| it.name == name);
    let defined = defined.map(|it| found(id, name, &it.kind));
    // `use name::name` begins at the module of that name, or at another crate, and not at itself.
    let is_module = |it: &Found| matches!(it, Found::Module(_));
    let has_module = defined.clone().any(|it| is_module(&it));
    let imports = module.uses.iter().filter(|it| it.name == name);
    let imports = imports.filter(|it| it.target[0] != name || has_module && !goes_on);
    let imported = imports.filter_map(|it| resolve(sources, id, &it.target, steps + 1));
    let globs = module.uses.iter().filter(|it| it.name == "*");
    let in_globs = globs.filter_map(
        |glob| match resolve(sources, id, &glob.target, steps + 1)? {
            Found::Module(all) if all != id => look_up(sources, all, name, goes_on, steps + 1),
            _ => None,
        },
    );
    let mut all: Vec<Found> = defined.chain(imported).collect();
    if all.is_empty() {
        all.extend(in_globs);
    }
    let fits = |it: &Found| is_module(it) == goes_on;
    let best = all.iter().position(fits).unwrap_or(0);
    (!all.is_empty()).then(|| all.swap_remove(best))
}
