//! Tests of templates.

use super::*;

#[test]
fn every_shipped_template_loads_under_its_name() {
    for (name, text) in shipped() {
        let template = match Template::parse(text, &format!("{name}.yaml")) {
            Ok(template) => template,
            Err(error) => panic!("{error}"),
        };
        assert_eq!(template.name(), *name);
    }
}
