-- No row of results any more for an event that was delivered in one go. What is there already stays as it is.
SELECT 1;
