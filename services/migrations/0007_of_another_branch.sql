-- Stands for the migration of that number of another branch, so that this branch builds alone: goes when they meet.
select 1;
