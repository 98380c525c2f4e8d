#!/bin/sh
# Desk, pump and jobs of the whole program under the thread sanitizer.
exec sh "$(dirname "$0")/sanitized.sh" tsan
