pub(crate) fn is_secured(_p: &str) -> bool {
    false
}
