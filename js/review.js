export function openReview(run, part) {}
