-- Which events a handler is called for, how much, and how it is connected to. JSON as text, but for the filter.
ALTER TABLE handlers ADD COLUMN filter text;
ALTER TABLE handlers ADD COLUMN limits text NOT NULL DEFAULT '{}';
ALTER TABLE handlers ADD COLUMN auth text;
ALTER TABLE handlers ADD COLUMN tls text;
