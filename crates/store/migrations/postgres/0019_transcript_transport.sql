-- What each message of a transcript went over: a device may have several ways at once.
ALTER TABLE transcript ADD COLUMN transport TEXT NOT NULL DEFAULT '';
