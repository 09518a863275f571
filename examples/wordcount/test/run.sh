#!/bin/sh
# Runs wordcount on what is in this folder and on some odd input; says what differs.
set -u
here=$(dirname "$0")
wordcount=$here/../wordcount
actual=$(mktemp)
trap 'rm -f "$actual"' EXIT
failed=0

# expect NAME: standard input is what $actual has to hold.
expect() {
	if diff -u - "$actual"; then echo "ok   $1"; else echo "FAIL $1"; failed=1; fi
}

"$wordcount" -n 4 "$here/fox.txt" >"$actual"
expect "the most frequent first, equals by name" <<END
      3 the
      2 dog
      2 fox
      1 barked
     13 words, 9 different
END

printf "Don't 'quote' don't\nÜber 4x4" | "$wordcount" >"$actual"
expect "apostrophes, other scripts and digits" <<END
      2 don't
      1 4x4
      1 quote
      1 Über
      5 words, 4 different
END

"$wordcount" </dev/null >"$actual"
expect "nothing at all" <<END
      0 words, 0 different
END

seq 1 5000 | "$wordcount" -n 0 >"$actual"
expect "a table that grows" <<END
   5000 words, 5000 different
END

"$wordcount" -n 0 "$here/missing" >"$actual" 2>&1
echo "exit $?" >>"$actual"
expect "a missing file" <<END
wordcount: $here/missing: No such file or directory
      0 words, 0 different
exit 1
END

exit "$failed"
