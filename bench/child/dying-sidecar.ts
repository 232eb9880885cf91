/** A sidecar that dies each time it is started. */
throw new Error('on purpose');
